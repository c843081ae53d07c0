"""The routes about an engine's configuration: versions, what differs, and a new one."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from workbench.api.answers import answer, encode
from workbench.api.auth import require
from workbench.api.bodies import Plain
from workbench.api.context import ContextOf
from workbench.api.engine_desk import EngineDesk, NameOf
from workbench.api.engine_facts import Held, load_held
from workbench.api.engine_risks import build_risks, find_raised, is_confirmed_change
from workbench.api.engine_trials import refuse_wrong, try_config
from workbench.engine_records import ConfigCheck, ConfigVersion
from workbench.errors import ConflictError
from workbench.live.config import Change, EngineConfig, find_changes, parse_engine_config
from workbench.live.config_checks import check_engine_config
from workbench.live.engine_directory import EngineDirectory
from workbench.records import UserRecord
from workbench.roles import Permission

__all__ = ["CheckBody", "CheckList", "ConfigBody", "DiffAnswer", "VersionList", "router"]

router = APIRouter(tags=["engines"])

_MOST = 2**31 - 1
_Viewer = Annotated[UserRecord, require(Permission.VIEW)]
_Trader = Annotated[UserRecord, require(Permission.TRADE)]
_Version = Annotated[int | None, Query(ge=1, le=_MOST)]


class VersionList(msgspec.Struct, frozen=True, kw_only=True):
    """The versions of a configuration, the last one first."""

    items: list[ConfigVersion]


class DiffAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between two versions, and which of that lets the engine risk more."""

    before: int
    after: int
    changes: list[Change]
    raised: list[Change]


class CheckList(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a configuration; nothing was written."""

    items: list[ConfigCheck]


class CheckBody(BaseModel):
    """A configuration to be looked at."""

    model_config = ConfigDict(extra="forbid", strict=True)

    config: Plain


class ConfigBody(BaseModel):
    """
    A new version of a configuration.

    `base_version` is the one that it was made from: it is refused where there is a later one by now.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    config: Plain
    comment: str = Field("", max_length=1_000, pattern=r"^[^\x00]*$")
    base_version: int | None = Field(None, ge=0, le=_MOST)
    confirm_token: str = Field("", max_length=200)


@router.get("/config", **answer(ConfigVersion, HTTPStatus.NOT_FOUND))
async def get_config(context: ContextOf, user: _Viewer, name: NameOf, version: _Version = None) -> Response:
    """Return a version of an engine's configuration; default: the last one. Secrets are references."""
    directory = await context.engines.work(context.engines.find, name)
    return encode(await context.engines.work(directory.load_version, version))


@router.get("/config/versions", **answer(VersionList, HTTPStatus.NOT_FOUND))
async def list_versions(context: ContextOf, user: _Viewer, name: NameOf) -> Response:
    """List the versions of an engine's configuration: when, by whom, and why."""
    directory = await context.engines.work(context.engines.find, name)
    return encode(VersionList(items=await context.engines.work(directory.list_versions)))


@router.get("/config/diff", **answer(DiffAnswer, HTTPStatus.NOT_FOUND))
async def compare_versions(
    context: ContextOf, user: _Viewer, name: NameOf, before: _Version = None, after: _Version = None
) -> Response:
    """Say what differs between two versions; default: the last one and the one before it."""

    def compare() -> DiffAnswer:
        directory = context.engines.find(name)
        second = directory.load_version(after)
        first = directory.load_version(before if before is not None else max(second.version - 1, 1))
        old, new = parse_engine_config(first.config), parse_engine_config(second.config)
        return DiffAnswer(
            before=first.version,
            after=second.version,
            changes=find_changes(old, new),
            raised=find_raised(old, new),
        )

    return encode(await context.engines.work(compare))


@router.post("/config/check", **answer(CheckList, HTTPStatus.NOT_FOUND, has_body=True))
async def check_config(context: ContextOf, trader: _Trader, name: NameOf, body: CheckBody) -> Response:
    """
    Look at a configuration before it is used: adapters, fields, credentials, instruments, databases; nothing connects.

    It is done in a child process: a value over which nautilus ends its process is told, and costs nothing else.
    """
    config = parse_engine_config(body.config)
    found = await try_config(context, context.engines.locate(name), config)
    return encode(CheckList(items=found))


@router.put(
    "/config",
    **answer(
        ConfigVersion, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, status=HTTPStatus.CREATED, has_body=True
    ),
)
async def set_config(context: ContextOf, trader: _Trader, name: NameOf, body: ConfigBody) -> Response:
    """
    Write a new version of an engine's configuration, checked as `config/check` does; the next start uses it.

    What an engine needs only when it starts, such as a credential or a database, may still be missing.
    Raising a limit, and any other change of what is or becomes LIVE, takes a second call.
    """
    config = parse_engine_config(body.config)
    desk = context.engines
    await desk.work(check_engine_config, config)
    directory = desk.locate(name)
    if not body.confirm_token:  # What is confirmed was looked at with the first call
        await refuse_wrong(context, directory, config)
    held = await load_held(desk, directory, trader.name)
    found = await desk.work(_save, desk, directory, config, body, trader.name, held)
    return encode(found, HTTPStatus.CREATED)


def _save(
    desk: EngineDesk, directory: EngineDirectory, config: EngineConfig, body: ConfigBody, by: str, held: Held
) -> ConfigVersion:
    with desk.writing:
        last = directory.load_version() if directory.has_config else None
        number = 0 if last is None else last.version
        if body.base_version not in (None, number):
            raise ConflictError(
                f"version {body.base_version} of {directory.name} is not the last one, {number} is",
                advice="look at what has changed, and begin from that",
                field="base_version",
            )
        before = EngineConfig() if last is None else parse_engine_config(last.config)
        is_first_sandbox = last is None and config.environment == EngineConfig().environment
        if is_confirmed_change(before, config) and not is_first_sandbox:
            change: dict[str, Any] = {
                "engine": directory.name,
                "action": "config",
                "base": number,
                "config": msgspec.to_builtins(config),
            }
            desk.confirm(body.confirm_token, change, by, lambda: _describe(directory, before, config, held))
        return directory.load_version(directory.save_config(config, by=by, comment=body.comment))


def _describe(directory: EngineDirectory, before: EngineConfig, after: EngineConfig, held: Held) -> Any:
    changes, raised = find_changes(before, after), find_raised(before, after)
    count = len(changes)
    lines = [f"{count:,} field{' changes' if count == 1 else 's change'}, from the next start on"]
    lines += [f"the limit {c.field} goes from {c.before} to {c.after or 'nothing'}" for c in raised]
    if before.environment != after.environment:
        lines.insert(0, f"the engine becomes {after.environment}")
    is_live = "LIVE" in (before.environment, after.environment)
    return build_risks(
        directory.name,
        "config",
        "LIVE" if is_live else "SANDBOX",
        lines=lines,
        orders=held.orders,
        positions=held.positions,
        valuation=held.valuation,
        changes=changes,
    )
