"""A search over parameters: which points to try next, from a grid or from an Optuna study."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from workbench.errors import ConfigError

if TYPE_CHECKING:
    import optuna

__all__ = ["Grid", "Parameter", "Plan", "Search", "Study", "WalkForward", "build_plan", "read_search"]

_MAX_POINTS = 100_000


class Grid(
    msgspec.Struct, frozen=True, kw_only=True, tag="grid", tag_field="kind", forbid_unknown_fields=True
):
    """
    Every combination of the given values.

    Attributes
    ----------
    grid : dict[str, list]
        Values by the path in the run configuration, such as ``engine.strategies.0.config.fast_ema_period``.

    """

    grid: dict[str, list[Any]]

    @property
    def size(self) -> int:
        """Return the number of points."""
        size = 1
        for values in self.grid.values():
            size *= len(values)
        return size

    def find_corners(self) -> list[dict[str, Any]]:
        """Return points in which every value occurs at least once."""
        longest = max((len(v) for v in self.grid.values()), default=0)
        return [{k: v[min(i, len(v) - 1)] for k, v in self.grid.items()} for i in range(longest)]


class Parameter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What a study may choose for one path.

    Attributes
    ----------
    type : str
        ``int``, ``float`` or ``categorical``.
    low, high : float, optional
        The bounds of a number, both inside.
    step : float, optional
        The grid of a number.
    log : bool
        Whether a number is drawn from the logarithmic domain.
    choices : list
        The values of a categorical parameter: texts, numbers, truth values.

    """

    type: Literal["int", "float", "categorical"]
    low: float | None = None
    high: float | None = None
    step: float | None = None
    log: bool = False
    choices: list[str | int | float | bool | None] = []


class Study(
    msgspec.Struct, frozen=True, kw_only=True, tag="optuna", tag_field="kind", forbid_unknown_fields=True
):
    """
    An Optuna study.

    Attributes
    ----------
    space : dict[str, Parameter]
        What may be chosen, by the path in the run configuration.
    trials : int
        How many points to try.
    sampler : str
        ``tpe`` (learns from what was tried) or ``random``.
    seed : int
        The seed of the sampler. With one trial at a time equal seeds try equal points.

    """

    space: dict[str, Parameter]
    trials: int
    sampler: Literal["tpe", "random"] = "tpe"
    seed: int = 0

    @property
    def size(self) -> int:
        """Return the number of points."""
        return self.trials

    def find_corners(self) -> list[dict[str, Any]]:
        """Return points in which every choice and every bound occurs at least once."""
        values = {name: _find_ends(parameter) for name, parameter in self.space.items()}
        return Grid(grid=values).find_corners()


class WalkForward(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Search on what came before, test the best on what follows, again and again.

    See `workbench.analysis.splits.build_walk_forward` for the terms.
    """

    folds: int
    train_share: float = 0.5
    purge_days: float = 0.0
    embargo_days: float = 0.0
    is_anchored: bool = False


class Search(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What to try, and what for.

    Attributes
    ----------
    space : Grid or Study
        The points.
    objective : str
        The headline number to judge by.
    direction : str
        ``maximize`` or ``minimize``.
    walk_forward : WalkForward, optional
        Splits of the range; default: every point runs over the whole range.

    """

    space: Grid | Study
    objective: str = "sharpe"
    direction: Literal["maximize", "minimize"] = "maximize"
    walk_forward: WalkForward | None = None


class Plan(Protocol):
    """Hands out points; what became of them is told to it."""

    def ask(self) -> tuple[int, dict[str, Any]] | None:
        """Return the number and the values of the next point, or ``None`` when there is none left."""

    def tell(self, number: int, value: float | None) -> None:
        """Say what a point was worth; ``None`` if its run did not get there."""


class _GridPlan:
    def __init__(self, grid: Grid) -> None:
        names = list(grid.grid)
        self._points: Iterator[tuple[int, dict[str, Any]]] = enumerate(
            dict(zip(names, chosen, strict=True)) for chosen in itertools.product(*grid.grid.values())
        )

    def ask(self) -> tuple[int, dict[str, Any]] | None:
        return next(self._points, None)

    def tell(self, number: int, value: float | None) -> None:
        """Learn nothing: the grid is what it is."""


class _StudyPlan:
    def __init__(self, study: Study, direction: Literal["maximize", "minimize"]) -> None:
        import optuna  # Half a second: only who needs it pays

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = (
            optuna.samplers.RandomSampler(seed=study.seed)
            if study.sampler == "random"
            else optuna.samplers.TPESampler(seed=study.seed)
        )
        self._study = optuna.create_study(sampler=sampler, direction=direction)
        self._distributions = {name: _build_distribution(p) for name, p in study.space.items()}
        self._left = study.trials

    def ask(self) -> tuple[int, dict[str, Any]] | None:
        if self._left <= 0:
            return None
        self._left -= 1
        trial = self._study.ask(self._distributions)
        return trial.number, dict(trial.params)

    def tell(self, number: int, value: float | None) -> None:
        import optuna

        if value is None:
            self._study.tell(number, state=optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(number, value)


def build_plan(search: Search) -> Plan:
    """Return what hands out the points of `search`, from the beginning."""
    if isinstance(search.space, Grid):
        return _GridPlan(search.space)
    return _StudyPlan(search.space, search.direction)


def read_search(plain: dict[str, Any]) -> Search:
    """
    Return the search that somebody wants.

    Raises
    ------
    ConfigError
        If it is none; `field` is the place in it.

    """
    try:
        search = msgspec.convert(plain, Search)
    except msgspec.ValidationError as e:
        message, _, place = str(e).partition(" - at `$")
        raise ConfigError(
            f"the search is not valid: {message}",
            expected="space (a grid or an Optuna space), objective, direction, walk_forward",
            field=f"search{place.rstrip('`')}",
        ) from e
    space = search.space
    if isinstance(space, Grid):
        for name, values in space.grid.items():
            if not values:
                raise ConfigError(
                    f"{name} has no values", expected="at least one", field=f"search.space.grid.{name}"
                )
    else:
        for name, parameter in space.space.items():
            _check_parameter(name, parameter)
    if not (space.grid if isinstance(space, Grid) else space.space):
        raise ConfigError("the search names no parameter", expected="at least one", field="search.space")
    if not 1 <= space.size <= _MAX_POINTS:
        raise ConfigError(
            f"the search has {space.size:,} points", expected=f"1 to {_MAX_POINTS:,}", field="search.space"
        )
    if search.walk_forward is not None:
        _check_walk_forward(search.walk_forward)
    return search


def _check_parameter(name: str, parameter: Parameter) -> None:
    field = f"search.space.space.{name}"
    if parameter.type == "categorical":
        if not parameter.choices:
            raise ConfigError(f"{name} has no choices", expected="at least one", field=f"{field}.choices")
        return
    low, high = parameter.low, parameter.high
    if low is None or high is None or not low <= high:
        raise ConfigError(f"{name} goes from {low} to {high}", expected="low <= high", field=f"{field}.low")
    if parameter.type == "int" and not (low.is_integer() and high.is_integer()):
        raise ConfigError(f"{name} goes from {low} to {high}", expected="whole numbers", field=f"{field}.low")
    if parameter.log and (low <= 0 or parameter.step is not None):
        raise ConfigError(
            f"{name} is logarithmic from {low}", expected="a low above 0 and no step", field=f"{field}.log"
        )
    if parameter.step is not None and not parameter.step > 0:
        raise ConfigError(f"{name} has steps of {parameter.step}", expected="above 0", field=f"{field}.step")


def _check_walk_forward(walk: WalkForward) -> None:
    for name, is_good, expected in (
        ("folds", 1 <= walk.folds <= 100, "1 to 100"),
        ("train_share", 0 < walk.train_share < 1, "a share between 0 and 1"),
        ("purge_days", walk.purge_days >= 0, "0 or more"),
        ("embargo_days", walk.embargo_days >= 0, "0 or more"),
    ):
        if not is_good:
            raise ConfigError(
                f"{name} is {getattr(walk, name)}", expected=expected, field=f"search.walk_forward.{name}"
            )


def _find_ends(parameter: Parameter) -> list[Any]:
    if parameter.type == "categorical":
        return list(parameter.choices)
    ends = [e for e in (parameter.low, parameter.high) if e is not None]
    return [int(e) for e in ends] if parameter.type == "int" else list(ends)


def _build_distribution(parameter: Parameter) -> optuna.distributions.BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if parameter.type == "categorical":
        return CategoricalDistribution(parameter.choices)
    low, high = parameter.low or 0.0, parameter.high or 0.0
    if parameter.type == "int":
        step = 1 if parameter.step is None else int(parameter.step)
        return IntDistribution(int(low), int(high), log=parameter.log, step=step)
    return FloatDistribution(low, high, log=parameter.log, step=parameter.step)
