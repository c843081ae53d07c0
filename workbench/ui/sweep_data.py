"""A sweep as a page shows it: its trials in one frame, what it searches, and what its best trial is worth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import pandas as pd

from workbench.analysis.definitions import DEFINITIONS
from workbench.records import JobRecord
from workbench.states import JobState

if TYPE_CHECKING:
    from workbench.client.client import Client

__all__ = ["TRIAL_METRICS", "SweepData", "load_sweep"]

TRIAL_METRICS: Mapping[str, str] = {
    "sharpe": "Sharpe",
    "total_return": "return",
    "max_drawdown": "max drawdown",
    "trades": "trades",
}
_NAMES = ("Sharpe", "Sortino", "Calmar", "PnL")  # Capitals everywhere
_PAGE = 1_000
_PLACE = frozenset({"fold", "part"})


@dataclass(frozen=True)
class SweepData:
    """
    What is known of a sweep.

    Parameters
    ----------
    record : JobRecord
        Its job.
    trials : pandas.DataFrame
        One row for each trial that was submitted or refused: ``job_id``, ``fold`` (counted from 1; NA without a
        walk-forward), ``part`` (``train``, ``test`` or empty), ``state``, ``error``, ``objective`` (NaN without a
        value), the columns of `TRIAL_METRICS`, and one for each parameter.
    parameters : Mapping of str to str
        Column of a parameter -> its path in the configuration.
    expected : int
        How many trials there will be.
    lineage_trials : int
        All backtests of this strategy on these data that there were.
    statistics, out_of_sample, best : Mapping
        As the server measured them; empty until the sweep has ended.

    """

    record: JobRecord
    trials: pd.DataFrame
    parameters: Mapping[str, str]
    expected: int
    lineage_trials: int
    statistics: Mapping[str, Any]
    out_of_sample: Mapping[str, Any]
    best: Mapping[str, Any]

    @property
    def search(self) -> Mapping[str, Any]:
        """What is searched, and what for."""
        found: Mapping[str, Any] = self.record.spec.get("search") or {}
        return found

    @property
    def objective(self) -> str:
        """The headline number by which trials are judged."""
        return str(self.search.get("objective") or "sharpe")

    @property
    def is_maximised(self) -> bool:
        """Whether a larger objective is better."""
        return self.search.get("direction") != "minimize"

    @property
    def is_walk_forward(self) -> bool:
        """Whether it tests on what follows."""
        return bool(self.search.get("walk_forward"))

    @property
    def word(self) -> str:
        """What to call the objective, inside a sentence."""
        if self.objective not in DEFINITIONS:
            return self.objective.replace("_", " ")
        label = DEFINITIONS[self.objective].label
        return label if label.startswith(_NAMES) else label[0].lower() + label[1:]

    @property
    def is_percent(self) -> bool:
        """Whether the objective is a fraction that is shown as per cent."""
        return self.objective in DEFINITIONS and DEFINITIONS[self.objective].unit == "%"

    @property
    def scores(self) -> pd.DataFrame:
        """Parameters and `score` of the trials that are compared."""
        frame = self.judged[[*self.parameters, "objective"]].rename(columns={"objective": self.score})
        frame[self.score] *= 100 if self.is_percent else 1
        return frame

    @property
    def score(self) -> str:
        """The column of the objective in `scores`, as a chart shows it."""
        return f"{self.word}, %" if self.is_percent else self.word

    @property
    def judged(self) -> pd.DataFrame:
        """The trials that are compared with each other: of a walk-forward those of its trainings."""
        return self.trials[self.trials["part"] != "test"]


def load_sweep(client: Client, job_id: str) -> SweepData:
    """
    Return a sweep as far as it is known.

    Raises
    ------
    NotFoundError
        If there is no such sweep.
    ServerError
        If the server does not answer.

    """
    answer = client.sweep(job_id)
    record = msgspec.convert(answer["job"], JobRecord)
    jobs: list[JobRecord] = []
    while True:
        page = client.list_jobs(parent_id=job_id, sort="created_at", limit=_PAGE, offset=len(jobs))
        jobs += page.items
        if not page.items or len(jobs) >= page.total:
            break
    search = record.spec.get("search") or {}
    count = int(answer.get("trials_of_lineage") or 0)
    if not count:
        _, count = client.job(job_id).load_trials(limit=1)
    parameters = _name_parameters(search, answer.get("trials") or [], jobs)
    return SweepData(
        record=record,
        trials=_build_trials(
            answer.get("trials") or [], jobs, parameters, str(search.get("objective") or "sharpe")
        ),
        parameters=parameters,
        expected=_count_expected(search),
        lineage_trials=count,
        statistics=answer.get("statistics") or {},
        out_of_sample=answer.get("out_of_sample") or {},
        best=answer.get("best") or {},
    )


def _build_trials(
    ended: list[dict[str, Any]], jobs: list[JobRecord], parameters: Mapping[str, str], objective: str
) -> pd.DataFrame:
    """Return the trials: those of jobs in their order, then those without a job of this sweep."""
    said = {str(trial["job_id"]): trial for trial in ended if trial["job_id"]}
    rows = []
    for job in jobs:
        trial = said.pop(job.id, {})
        point = {name: value for name, value in job.point.items() if name not in _PLACE}
        value = trial.get("value", job.headline.get(objective) if job.state == JobState.COMPLETED else None)
        failure = "" if job.failure is None else job.failure.message
        place = (job.point.get("fold"), str(job.point.get("part", "")))
        rows.append(
            _build_row(
                job.id, point, place, str(job.state), value, trial.get("error") or failure, job.headline
            )
        )
    rest = [*said.values(), *(trial for trial in ended if not trial["job_id"])]
    for trial in rest:
        known = {} if trial["value"] is None else {objective: trial["value"]}
        place = (trial.get("fold"), str(trial.get("part") or ""))
        rows.append(
            _build_row(
                trial["job_id"],
                trial["point"],
                place,
                trial["state"],
                trial["value"],
                trial.get("error") or "",
                known,
            )
        )
    frame = pd.DataFrame(
        [row for row, _ in rows],
        columns=["job_id", "fold", "part", "state", "error", "objective", *TRIAL_METRICS],
    )
    frame["fold"] = frame["fold"].astype("Int64")
    for name in ("objective", *TRIAL_METRICS):
        frame[name] = frame[name].astype("float64")
    for name, path in parameters.items():
        frame[name] = pd.Series([point.get(path) for _, point in rows]).infer_objects()
    return frame


def _build_row(
    job_id: str,
    point: Mapping[str, Any],
    place: tuple[int | None, str],
    state: str,
    value: float | None,
    error: str,
    headline: Mapping[str, float],
) -> tuple[dict[str, Any], Mapping[str, Any]]:
    fold, part = place
    row = {
        "job_id": job_id,
        "fold": pd.NA if fold is None else fold + 1,
        "part": part,
        "state": state,
        "error": error,
        "objective": math.nan if value is None else value,
        **{name: headline.get(name, math.nan) for name in TRIAL_METRICS},
    }
    return row, point


def _name_parameters(
    search: Mapping[str, Any], ended: list[dict[str, Any]], jobs: list[JobRecord]
) -> dict[str, str]:
    """Return a short name for each path: its last part, or all of it where two end alike."""
    space = search.get("space") or {}
    paths = list(space.get("grid") or space.get("space") or {})
    paths = paths or list(dict.fromkeys(path for trial in ended for path in trial["point"]))
    paths = paths or list(dict.fromkeys(path for job in jobs for path in job.point if path not in _PLACE))
    short = [path.rpartition(".")[2] for path in paths]
    taken = {"job_id", "fold", "part", "state", "error", "objective", *TRIAL_METRICS}
    return {
        path if short.count(name) > 1 or name in taken else name: path
        for name, path in zip(short, paths, strict=True)
    }


def _count_expected(search: Mapping[str, Any]) -> int:
    space = search.get("space") or {}
    size = int(space.get("trials") or math.prod(len(values) for values in (space.get("grid") or {}).values()))
    walk = search.get("walk_forward")
    return size if not walk else int(walk["folds"]) * (size + 1)
