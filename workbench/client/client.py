"""Everything that the server does, as methods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Self
from urllib.parse import quote

import msgspec

from workbench.client.catalog import CatalogReader
from workbench.client.engine import Engine, Engines
from workbench.client.events import EventStream
from workbench.client.job import Job
from workbench.client.submission import Jsonable, build_config, build_submission
from workbench.client.transport import Transport
from workbench.config import Settings, load_settings
from workbench.records import HoldoutRecord, JobRecord, TokenRecord, UserRecord
from workbench.roles import Role
from workbench.states import JobState

__all__ = ["Client", "JobPage"]

# Checking a configuration starts a process and reads the catalog.
_CHECK_SECS = 150.0


class JobPage(msgspec.Struct, frozen=True):
    """Some of the jobs that were asked for, and how many there are in all."""

    items: list[JobRecord]
    total: int


class Client:
    """
    The server, for one user; may be used from any thread. `workbench.connect` makes one.

    Parameters
    ----------
    transport : Transport
        The way to the server.
    settings : Settings, optional
        Where captured strategies are; default: those of this process.
    is_local : bool
        Whether the server reads the same files as this process: relative paths and the places of the user's own
        modules are then sent as this process knows them.

    Attributes
    ----------
    transport, is_local
        As given.

    """

    def __init__(
        self, transport: Transport, *, settings: Settings | None = None, is_local: bool = False
    ) -> None:
        self.transport = transport
        self.is_local = is_local
        self._catalog = CatalogReader(transport, is_local=is_local)
        captured = (settings or load_settings()).runs / "_strategies"
        self._build_submission = partial(build_submission, captured=captured, is_local=is_local)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    @property
    def url(self) -> str:
        """Return where the server is."""
        return self.transport.endpoint.url

    def close(self) -> None:
        """Close the connections. The server and its jobs go on."""
        self.transport.close()

    def health(self) -> dict[str, Any]:
        """Return the server's version, process and workspace."""
        return self._ask("GET", "health")

    def whoami(self) -> dict[str, Any]:
        """Return who the token belongs to: ``name``, ``role``, ``permissions``, ``mode``, ``note``."""
        return self._ask("GET", "whoami")

    def engine(self, name: str = "default") -> Engine:
        """Return a live engine, which is asked nothing yet."""
        return Engine(self.transport, name)

    @property
    def engines(self) -> Engines:
        """Return all live engines together."""
        return Engines(self.transport)

    def datasets(self) -> list[dict[str, Any]]:
        """Return the datasets of the workspace's catalogs: see `CatalogReader.datasets`."""
        return self._catalog.datasets()

    def coverage(self, dataset: str | Mapping[str, Any], *, bins: int = 240) -> dict[str, Any]:
        """Return how the rows of a dataset lie in time: see `CatalogReader.coverage`."""
        return self._catalog.coverage(dataset, bins=bins)

    def strategies(self) -> list[dict[str, Any]]:
        """Return the strategies that there are: see `CatalogReader.strategies`."""
        return self._catalog.strategies()

    def describe_strategy(
        self, strategy: type | str, *, config_class: type | str | None = None
    ) -> dict[str, Any]:
        """Return what a form for a strategy is built from: see `CatalogReader.describe_strategy`."""
        return self._catalog.describe_strategy(strategy, config_class=config_class)

    def strategy_schema(self, path: str, *, config_path: str = "") -> dict[str, Any]:
        """Return the JSON schema of a strategy's configuration: see `CatalogReader.strategy_schema`."""
        return self._catalog.strategy_schema(path, config_path=config_path)

    def submit_backtest(
        self,
        config: Jsonable | Mapping[str, Any] | str | bytes,
        *,
        name: str = "",
        overrides: Mapping[str, Any] | None = None,
        sources: Mapping[str, str] | None = None,
        limits: Any = None,
        use_holdout: bool = False,
    ) -> Job:
        """
        Queue a backtest and return its job.

        Parameters
        ----------
        config : BacktestRunConfig, dict or JSON
            What to run.
        name : str
            A name for people.
        overrides : dict, optional
            New values by path, such as ``engine.strategies.0.config.fast_ema_period``.
        sources : dict, optional
            The text of captured strategy modules by name; others that `config` names are read from beside the
            run directories.
        limits : Limits or dict, optional
            ``memory_bytes``, ``stall_secs``, ``cancel_secs``.
        use_holdout : bool
            Whether it may look at the sealed range of its dataset: that is counted, and shown for ever.

        Raises
        ------
        InputError
            If the configuration cannot run: nothing was queued.

        """
        body = self._build_submission(config, name=name, overrides=overrides, sources=sources, limits=limits)
        body["use_holdout"] = use_holdout
        content = self.transport.fetch("POST", "backtests", body=body, timeout_secs=_CHECK_SECS)
        return Job(self, msgspec.json.decode(content, type=JobRecord))

    def preview(
        self,
        config: Jsonable | Mapping[str, Any] | str | bytes,
        *,
        overrides: Mapping[str, Any] | None = None,
        sources: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """
        Check a backtest without queueing it; return what it would read, and cost in time and memory.

        Raises
        ------
        InputError
            If the configuration cannot run.

        """
        body = self._build_submission(config, overrides=overrides, sources=sources)
        return self._ask("POST", "backtests/preview", body=body, timeout_secs=_CHECK_SECS)

    def size_backtest(
        self,
        config: Jsonable | Mapping[str, Any] | str | bytes,
        sizing: Jsonable | Mapping[str, Any] | str | bytes,
        *,
        instrument_id: str | None = None,
    ) -> dict[str, Any]:
        """
        Return the quantity that a sizing gives at the start of a backtest, and how it comes about.

        `sizing` has the fields of `workbench.sizing.config.Sizing`; `instrument_id` is by default the first that the
        run reads. ``quantity`` is decimal text, or ``None`` with the ``reason``: see `workbench.api.backtests`.

        Raises
        ------
        InputError
            If the sizing or the configuration is wrong.

        """
        plain = self._build_submission(config)["config"]
        body = {"config": plain, "sizing": build_config(sizing), "instrument_id": instrument_id}
        return self._ask("POST", "backtests/sizing", body=body, timeout_secs=_CHECK_SECS)

    def submit_sweep(
        self,
        config: Jsonable | Mapping[str, Any] | str | bytes,
        search: Mapping[str, Any],
        *,
        name: str = "",
        overrides: Mapping[str, Any] | None = None,
        sources: Mapping[str, str] | None = None,
        limits: Any = None,
        parallel: int | None = None,
    ) -> Job:
        """
        Begin a search over parameters and return its job; its trials are jobs too.

        Parameters
        ----------
        config, overrides, sources, limits
            What every trial starts from, as for `submit_backtest`.
        search : dict
            What to try and what for: ``space`` (``{"kind": "grid", "grid": {path: values}}`` or ``{"kind":
            "optuna", "space": {path: {"type": "int", "low": 5, "high": 50}}, "trials": 100}``), ``objective``
            (a headline number, default ``sharpe``), ``direction``, ``walk_forward`` (``folds``,
            ``train_share``, ``purge_days``, ``embargo_days``, ``is_anchored``).
        name : str
            A name for people.
        parallel : int, optional
            How many trials may wait or run at a time; default: twice the slots.

        Raises
        ------
        InputError
            If the search cannot be made: nothing was begun.

        """
        body = {
            "backtest": self._build_submission(config, overrides=overrides, sources=sources, limits=limits),
            "search": dict(search),
            "name": name,
            **({} if parallel is None else {"parallel": parallel}),
        }
        content = self.transport.fetch("POST", "sweeps", body=body, timeout_secs=_CHECK_SECS)
        return Job(self, msgspec.json.decode(content, type=JobRecord))

    def sweep(self, job_id: str) -> dict[str, Any]:
        """Return a sweep: ``trials``, ``best``, ``trials_of_lineage``, ``statistics``, ``out_of_sample``."""
        return self._ask("GET", f"sweeps/{quote(job_id, safe='')}")

    def list_jobs(
        self,
        *,
        state: Sequence[JobState | str] = (),
        kind: str = "",
        owner: str = "",
        parent_id: str = "",
        lineage: str = "",
        dataset: str = "",
        is_top_level: bool = False,
        text: str = "",
        sort: str = "-created_at",
        limit: int = 50,
        offset: int = 0,
    ) -> JobPage:
        """
        Return the records of jobs, filtered and sorted by the server.

        Parameters
        ----------
        state : Sequence[JobState]
            In one of these; default: in any.
        kind, owner, parent_id, lineage, dataset : str
            With exactly this.
        is_top_level : bool
            Only those that belong to no sweep.
        text : str
            With this in its id or name.
        sort : str
            A column or a headline number; a minus before it turns the order round.
        limit, offset : int
            So many (1,000 at the most), beginning there.

        Raises
        ------
        InputError
            If there is no such column.

        """
        content = self.transport.fetch(
            "GET",
            "jobs",
            params={
                "state": [str(one) for one in state],
                "kind": kind,
                "owner": owner,
                "parent_id": parent_id,
                "lineage": lineage,
                "dataset": dataset,
                "is_top_level": is_top_level,
                "text": text,
                "sort": sort,
                "limit": limit,
                "offset": offset,
            },
        )
        return msgspec.json.decode(content, type=JobPage)

    def jobs(self, **query: Any) -> list[Job]:
        """Return jobs, the newest first; see `list_jobs` for what may be asked."""
        return [Job(self, record) for record in self.list_jobs(**query).items]

    def job(self, job_id: str) -> Job:
        """
        Return the job `job_id`.

        Raises
        ------
        NotFoundError
            If there is no such job.

        """
        content = self.transport.fetch("GET", f"jobs/{quote(job_id, safe='')}")
        return Job(self, msgspec.json.decode(content, type=JobRecord))

    def resources(self) -> dict[str, Any]:
        """Return what the server has for jobs, and what is taken."""
        return self._ask("GET", "jobs/resources")

    def reindex(self, *, rebuild: bool = False) -> dict[str, int]:
        """
        Bring the records in line with the job directories.

        Parameters
        ----------
        rebuild : bool
            Forget all jobs first. Users and tokens stay.

        """
        return self._ask("POST", "jobs/reindex", body={"rebuild": rebuild}, timeout_secs=_CHECK_SECS)

    def events(
        self, *, after: int | None = None, timeout_secs: float | None = None
    ) -> Iterator[dict[str, Any]]:
        """
        Yield what happens to jobs: ``hello``, ``job``, ``progress``, and ``gap`` and ``snapshot`` where needed.

        It goes on over lost connections and restarts of the server, and misses no change of state.

        Parameters
        ----------
        after : int, optional
            Begin after this sequence number; default: with a snapshot of what is unfinished.
        timeout_secs : float, optional
            End when nothing has happened for so long.

        Raises
        ------
        ServerError
            If the server is lost and does not come back.

        """
        with self.listen(after=after) as stream:
            while (message := stream.take(timeout_secs)) is not None:
                yield message

    def listen(self, *, after: int | None = None) -> EventStream:
        """Return what `events` yields as a stream, for who has other things to do meanwhile."""
        return EventStream(self.transport, after=after)

    def holdouts(self) -> list[HoldoutRecord]:
        """Return the sealed ranges, each with how often it was used."""
        return [msgspec.convert(h, HoldoutRecord) for h in self._ask("GET", "holdouts")["items"]]

    def seal_holdout(self, dataset: str, start: str, end: str) -> HoldoutRecord:
        """
        Seal a range of a dataset, both ends inside: runs that touch it are refused unless they say that they may.

        Parameters
        ----------
        dataset : str
            As in a job or a preview.
        start, end : str
            ISO 8601; without a zone it is UTC.

        Raises
        ------
        ExistsError
            If a range of this dataset is sealed already.

        """
        body = {"dataset": dataset, "start": start, "end": end}
        return msgspec.json.decode(self.transport.fetch("POST", "holdouts", body=body), type=HoldoutRecord)

    def users(self) -> list[UserRecord]:
        """Return the users."""
        return msgspec.convert(self._ask("GET", "users")["items"], list[UserRecord])

    def add_user(self, name: str, role: Role | str) -> UserRecord:
        """Add a user, who needs a token next."""
        return self._keep_user("POST", "users", {"name": name, "role": str(role)})

    def update_user(
        self, name: str, *, role: Role | str | None = None, is_active: bool | None = None
    ) -> UserRecord:
        """Change the role of a user, or bar or admit them."""
        changes = {"role": None if role is None else str(role), "is_active": is_active}
        body = {key: value for key, value in changes.items() if value is not None}
        return self._keep_user("PATCH", f"users/{quote(name, safe='')}", body)

    def tokens(self, name: str) -> list[TokenRecord]:
        """Return what is known of the tokens of a user."""
        found = self._ask("GET", f"users/{quote(name, safe='')}/tokens")["items"]
        return msgspec.convert(found, list[TokenRecord])

    def add_token(self, name: str, *, label: str = "", expires_days: int | None = None) -> str:
        """Make a token for a user and return it: it is shown this once."""
        body = {"label": label, "expires_days": expires_days}
        made: str = self._ask("POST", f"users/{quote(name, safe='')}/tokens", body=body)["token"]
        return made

    def revoke_token(self, name: str, token_id: str) -> None:
        """Make a token of a user worthless."""
        self.transport.fetch("DELETE", f"users/{quote(name, safe='')}/tokens/{quote(token_id, safe='')}")

    def _ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.transport.fetch_json(method, path, **options)
        return answer

    def _keep_user(self, method: str, path: str, body: dict[str, Any]) -> UserRecord:
        return msgspec.json.decode(self.transport.fetch(method, path, body=body), type=UserRecord)
