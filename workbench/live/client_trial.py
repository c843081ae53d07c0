"""A client of an engine tried out: its class, its factory and its fields, each by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from nautilus_trader.adapters.sandbox.config import SandboxExecutionClientConfig
from nautilus_trader.common.config import msgspec_decoding_hook, msgspec_encoding_hook

from workbench.engine_records import CheckOutcome, ConfigCheck
from workbench.errors import InputError
from workbench.live.config import Environment
from workbench.live.config_schemas import load_class
from workbench.live.sandbox_config import SandboxClientConfig, check_config

__all__ = ["TriedClient", "build_config", "check_client"]

_FAULTS = (msgspec.MsgspecError, ValueError, TypeError, AttributeError, KeyError, ArithmeticError)


class TriedClient(NamedTuple):
    """A client whose configuration nautilus takes: its place and name, and that configuration."""

    place: str
    name: str
    config: Any

    @property
    def is_data(self) -> bool:
        """Return whether it is for data, and not for orders."""
        return self.place.startswith("node.data_clients.")


def check_client(
    place: str, client: Any, environment: Environment
) -> tuple[TriedClient | None, list[ConfigCheck]]:
    """
    Try a client out.

    Parameters
    ----------
    place : str
        Where it stands, such as ``node.data_clients.BINANCE``.
    client : Any
        What stands there: `path`, `factory` and `config`, with secrets filled in.
    environment : Environment
        Of the engine.

    Returns
    -------
    tuple
        The client, if nautilus takes it; and what was found.

    """
    wrong: list[ConfigCheck] = []

    def refuse(
        field: str, message: str, advice: str = "", outcome: CheckOutcome = CheckOutcome.WRONG
    ) -> None:
        wrong.append(
            ConfigCheck(subject="adapter", outcome=outcome, message=message, field=field, advice=advice)
        )

    if not isinstance(client, dict):
        refuse(place, f"{place} is no object with path, factory and config")
        return None, wrong
    kind = None
    factory = client.get("factory")
    paths = {f"{place}.path": client.get("path")}
    if isinstance(factory, dict):
        paths[f"{place}.factory.path"] = factory.get("path")
    else:
        refuse(f"{place}.factory", "the client has no factory", "give the import path of its factory")
    for field, path in paths.items():
        try:
            found = load_class(str(path or ""), field)
        except InputError as e:
            # What an adapter needs may be installed before the engine starts.
            is_needed = bool(e.advice) and not e.advice.endswith(str(path).partition(".")[0])
            refuse(field, e.message, e.advice, CheckOutcome.MISSING if is_needed else CheckOutcome.WRONG)
        else:
            kind = found if field == f"{place}.path" else kind
    if kind is None:
        return None, wrong
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        refuse(f"{place}.path", f"{client['path']} is no configuration of a client")
        return None, wrong
    config = build_config(f"{place}.config", kind, client.get("config") or {}, refuse)
    if config is not None and isinstance(config, SandboxClientConfig):
        try:
            check_config(config)
        except InputError as e:
            refuse(f"{place}.config.{e.field}", e.message)
    is_exec = place.startswith("node.exec_clients.")
    is_here = config is None or isinstance(config, SandboxExecutionClientConfig)
    if is_exec and environment == Environment.SANDBOX and not is_here:
        refuse(
            place, f"{place} sends orders to a venue, and the engine is a SANDBOX", "set environment to LIVE"
        )
    if config is None or wrong:
        return None, wrong
    is_own = str(client["path"]).startswith("workbench.")
    later = "" if is_own else "; whether the venue does shows when it connects"
    message = f"{kind.__name__} takes its fields{later}."
    ok = ConfigCheck(subject="adapter", outcome=CheckOutcome.OK, message=message, field=place)
    return TriedClient(place, place.rpartition("clients.")[2], config), [ok]


def build_config(
    place: str, kind: type[msgspec.Struct], values: Any, refuse: Callable[[str, str], object]
) -> Any:
    """
    Return a configuration of nautilus's kind; where that cannot be, tell of every field that is wrong.

    Parameters
    ----------
    place : str
        Where it stands.
    kind : type
        Its class.
    values : Any
        Its fields.
    refuse : Callable
        Takes the place of a wrong field, and what is wrong.

    """
    if not isinstance(values, dict):
        refuse(place, f"{place} is no object")
        return None
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    count = 0
    for name, value in values.items():
        if name not in fields:
            refuse(f"{place}.{name}", f"{kind.__name__} has no field {name[:80]!r}")
            count += 1
            continue
        try:
            _decode(value, fields[name].type)
        except _FAULTS as e:
            message, _, inside = str(e).partition(" - at `$")
            field = ".".join(filter(None, (f"{place}.{name}", inside.rstrip("`").strip("."))))
            refuse(field, message or type(e).__name__)
            count += 1
    for name, info in fields.items():
        if info.required and name not in values:
            refuse(f"{place}.{name}", f"{name} is missing")
            count += 1
    if count:
        return None
    try:
        return _decode(values, kind)
    except _FAULTS as e:
        refuse(place, str(e) or type(e).__name__)
        return None


def _decode(value: Any, kind: Any) -> Any:
    text = msgspec.json.encode(value, enc_hook=msgspec_encoding_hook)
    return msgspec.json.decode(text, type=kind, dec_hook=msgspec_decoding_hook)
