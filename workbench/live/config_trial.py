"""A configuration tried out before it is used, in a child process: nautilus ends the process over some values."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from workbench.engine_records import CheckOutcome, ConfigCheck
from workbench.errors import ConfigError, InputError, WorkbenchError
from workbench.jobs.control import Control
from workbench.live.client_trial import TriedClient, build_config, check_client
from workbench.live.config import EngineConfig, parse_engine_config
from workbench.live.config_checks import check_engine_config, find_references
from workbench.live.config_schemas import load_class
from workbench.live.databases import ping_databases
from workbench.live.engine_directory import EngineDirectory
from workbench.live.instrument_trial import check_instruments, find_traded
from workbench.live.node import parse_currency, plan_node
from workbench.live.secret_references import Secrets

__all__ = ["try_config"]

_MISSING = "missing"
_CLIENTS = ("data_clients", "exec_clients")
_PARTS = {"strategies": "strategy_path", "actors": "actor_path", "exec_algorithms": "exec_algorithm_path"}


def try_config(spec: dict[str, Any], control: Control) -> dict[str, Any]:
    """
    Look at everything in a configuration that can be looked at without a venue: nothing connects, nothing is sent.

    Parameters
    ----------
    spec : dict
        ``config``: the fields of an `EngineConfig`; ``engine``: the directory of the engine, which need not exist;
        ``runs``: where captured strategies are kept; ``place_file``: where the place that is looked at is written, for
        whoever finds that this process has ended over it.
    control : Control
        Not used.

    Returns
    -------
    dict
        ``checks``: a list of `ConfigCheck`, as plain values.

    Raises
    ------
    ConfigError
        If it is no configuration at all.

    """
    config = parse_engine_config(spec["config"])
    with _as_a_host(Path(spec["runs"])):
        trial = _Trial(config, EngineDirectory(Path(spec["engine"])), Path(spec["place_file"]))
        return {"checks": msgspec.to_builtins(trial.run())}


class _Trial:
    def __init__(self, config: EngineConfig, directory: EngineDirectory, place_file: Path) -> None:
        self._config = config
        self._directory = directory
        self._place_file = place_file
        self._secrets = Secrets()
        self._found: list[ConfigCheck] = []

    def run(self) -> list[ConfigCheck]:
        config = self._config
        with self._looking("", "limits", "The limits, import paths and references are sound."):
            check_engine_config(config)
        with self._looking("currency", "node"):
            parse_currency(config.currency)
        node = self._fill_in()
        clients = {f"node.{kind}.{name}": one for kind in _CLIENTS for name, one in _items(node.get(kind))}
        tried = [
            found for place, one in clients.items() if (found := self._try_client(place, one)) is not None
        ]
        traded = self._try_parts(node)
        self._try_node(node)
        self._note("node.strategies")
        self._found += check_instruments(tried, traded)
        return self._found

    def _fill_in(self) -> dict[str, Any]:
        """Return the node's fields with each secret that is there, and a word where one is not."""
        node: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self._config.node))
        for place, reference in find_references(self._config).items():
            self._note(place)
            try:
                secret = self._secrets.resolve(reference, place=place)
            except InputError as e:
                secret = _MISSING
                self._add("credential", CheckOutcome.MISSING, e.message, place, e.advice)
            else:
                self._add("credential", CheckOutcome.OK, f"{reference} is there.", place)
            _put(node, place.removeprefix("node."), secret)
        return node

    def _try_client(self, place: str, client: Any) -> TriedClient | None:
        self._note(place)
        found, checks = check_client(place, client, self._config.environment)
        self._found += [
            msgspec.structs.replace(check, message=self._secrets.scrub(check.message)) for check in checks
        ]
        return found

    def _try_parts(self, node: dict[str, Any]) -> list[Any]:
        traded, ids = [], dict[str, str]()
        for kind, name in _PARTS.items():
            parts = node.get(kind)
            for i, part in enumerate(parts if isinstance(parts, list) else []):
                place = f"node.{kind}.{i}"
                with self._looking(place, "strategy"):
                    own = self._build(part, name, place, ids)
                    if kind == "strategies":
                        traded.append(find_traded(own, place))
        return traded

    def _build(self, part: Any, name: str, place: str, ids: dict[str, str]) -> Any:
        """Make a strategy, or another component, as the engine will; return its configuration."""
        if not isinstance(part, dict):
            raise InputError(
                f"{place} is no object", expected="strategy_path, config_path and config", field=place
            )
        kind = load_class(str(part.get(name, "")), f"{place}.{name}")
        config_class = load_class(str(part.get("config_path", "")), f"{place}.config_path")
        wrong: list[InputError] = []
        config = build_config(
            f"{place}.config",
            config_class,
            part.get("config") or {},
            lambda field, message: wrong.append(ConfigError(message, field=field)),
        )
        if wrong:
            raise ConfigError(wrong[0].message, field=wrong[0].field, errors=wrong)
        component = kind(config=config)
        own = str(component.id)
        # Without a tag nautilus finds one that is free.
        if own in ids and not own.endswith("-None"):
            raise InputError(
                f"{own} is at {ids[own]} already",
                expected="another order_id_tag",
                field=f"{place}.config.order_id_tag",
            )
        ids[own] = place
        self._add("strategy", CheckOutcome.OK, f"{kind.__name__} can be built.", place)
        return config

    def _try_node(self, node: dict[str, Any]) -> None:
        """Have nautilus read the whole, unless it is known already that it cannot."""
        if any(check.outcome is CheckOutcome.WRONG for check in self._found):
            return
        config = msgspec.structs.replace(self._config, node=node)
        with self._looking("node", "node"):
            plan = plan_node(config, self._directory)
            self._add("node", CheckOutcome.OK, "Nautilus reads the whole of it as a node.", "node")
            place = next(
                (f"node.{name}.database" for name in ("cache", "message_bus") if _has_database(node, name)),
                "",
            )
            if place:
                problem = self._secrets.scrub(ping_databases(plan.config))
                outcome = CheckOutcome.MISSING if problem else CheckOutcome.OK
                advice = "start it, or leave the database out" if problem else ""
                self._add("database", outcome, problem or "Redis answers.", place, advice)

    @contextlib.contextmanager
    def _looking(self, place: str, subject: str, success: str = "") -> Iterator[None]:
        """Keep what is wrong at a place, instead of ending over it."""
        self._note(place)
        try:
            yield
        except WorkbenchError as e:
            for one in e.errors or (e,):
                self._add(subject, CheckOutcome.WRONG, _say(one), one.field or place, one.advice)
        except Exception as e:  # noqa: BLE001 - whatever somebody's module raises
            lines = str(e).splitlines() or [""]
            message = f"it cannot be built: {type(e).__name__}: {lines[0]}"
            self._add(subject, CheckOutcome.WRONG, message, place)
        else:
            if success:
                self._add(subject, CheckOutcome.OK, success, place)

    def _add(self, subject: str, outcome: CheckOutcome, message: str, field: str, advice: str = "") -> None:
        said = self._secrets.scrub(message)
        self._found.append(
            ConfigCheck(subject=subject, outcome=outcome, message=said, field=field, advice=advice)
        )

    def _note(self, place: str) -> None:
        self._place_file.write_text(place, encoding="utf-8")


@contextlib.contextmanager
def _as_a_host(runs: Path) -> Iterator[None]:
    """Find modules where the host of an engine does: not in the directory that happens to be the current one."""
    before = list(sys.path)
    if not sys.flags.safe_path and sys.path and sys.path[0] in ("", str(Path.cwd())):
        del sys.path[0]
    sys.path.append(str(runs / "_strategies"))
    try:
        yield
    finally:
        sys.path[:] = before


def _items(clients: Any) -> list[tuple[str, Any]]:
    return list(clients.items()) if isinstance(clients, dict) else []


def _has_database(node: dict[str, Any], name: str) -> bool:
    part = node.get(name)
    return isinstance(part, dict) and part.get("database") is not None


def _put(node: Any, place: str, value: str) -> None:
    """Set a value whose place was found by walking: a name may have dots in it."""
    name, _, rest = place.partition(".")
    if isinstance(node, list):
        if rest:
            _put(node[int(name)], rest, value)
        else:
            node[int(name)] = value
        return
    while name not in node:
        more, _, rest = rest.partition(".")
        name = f"{name}.{more}"
    if rest:
        _put(node[name], rest, value)
    else:
        node[name] = value


def _say(error: WorkbenchError) -> str:
    return f"{error.message}; expected {error.expected}" if error.expected else error.message
