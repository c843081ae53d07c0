"""The routes about what a configuration is made of: presets, adapters, and what each of them takes."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from workbench.api.answers import answer, encode
from workbench.api.auth import require
from workbench.api.context import ContextOf
from workbench.live.adapters import Adapter, list_adapters
from workbench.live.presets import PRESETS, Preset, build_preset
from workbench.records import UserRecord
from workbench.roles import Permission

__all__ = ["AdapterList", "PartAnswer", "PresetAnswer", "PresetBody", "PresetList", "router"]

router = APIRouter(tags=["engines"])

_CLIENT = "workbench.live.config_schemas:describe_client"
_STRATEGY = "workbench.backtest.preparation:describe_strategy"
_IMPORT_PATH = r"^[\w.]+:\w+$"
_Viewer = Annotated[UserRecord, require(Permission.VIEW)]
_Trader = Annotated[UserRecord, require(Permission.TRADE)]


class PresetList(msgspec.Struct, frozen=True, kw_only=True):
    """The presets that there are, each with how far it was tried."""

    items: list[Preset]


class PresetAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration that a preset makes; nothing was written."""

    config: dict[str, Any]


class PresetBody(BaseModel):
    """The parameters of a preset, as text."""

    model_config = ConfigDict(extra="forbid", strict=True)

    parameters: dict[
        Annotated[str, Field(max_length=100)], Annotated[str, Field(max_length=4_000, pattern=r"^[^\x00]*$")]
    ] = Field({}, max_length=50)


class AdapterList(msgspec.Struct, frozen=True, kw_only=True):
    """The clients that an engine can have, each with how far it was tried."""

    items: list[Adapter]


class PartAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a form for a client or a strategy is built from.

    Attributes
    ----------
    path, config_path : str
        Where the class is, and that of its configuration: the same for a client.
    schema : dict
        The JSON schema of the configuration.
    help : dict[str, str]
        A text for each field, as far as there is one.
    doc : str
        The first paragraph of what it says about itself.

    """

    path: str
    config_path: str
    schema: dict[str, Any]
    help: dict[str, str]
    doc: str


_NOTHING = PresetBody(parameters={})


@router.get("/engine-presets", **answer(PresetList))
async def list_presets(user: _Viewer) -> Response:
    """List the presets: what they are for, what they ask for, and how far they were tried."""
    return encode(PresetList(items=list(PRESETS)))


@router.post("/engine-presets/{preset}", **answer(PresetAnswer, HTTPStatus.NOT_FOUND, has_body=True))
async def make_config(
    trader: _Trader, preset: Annotated[str, Path(max_length=100)], body: PresetBody = _NOTHING
) -> Response:
    """Return the configuration that a preset makes of its parameters; nothing is written."""
    return encode(PresetAnswer(config=msgspec.to_builtins(build_preset(preset, body.parameters))))


@router.get("/engine-adapters", **answer(AdapterList))
async def list_clients(context: ContextOf, user: _Viewer) -> Response:
    """List the clients that an engine can have: the workbench's own, and nautilus's adapters."""
    return encode(AdapterList(items=list(await context.engines.work(list_adapters))))


@router.get("/engine-parts/{path}/schema", **answer(PartAnswer, HTTPStatus.NOT_FOUND))
async def describe_part(
    context: ContextOf,
    trader: _Trader,
    path: Annotated[str, Path(max_length=300, pattern=_IMPORT_PATH)],
    kind: Literal["client", "strategy"] = "client",
    config_path: Annotated[str | None, Query(max_length=300, pattern=_IMPORT_PATH)] = None,
) -> Response:
    """Return the JSON schema of the configuration of a client (by its own path) or of a strategy; any import path."""
    if kind == "client":
        found = await context.inspect(context.service.ask, _CLIENT, {"path": path})
        return encode(PartAnswer(**found))
    spec = {
        "path": path,
        "config_path": config_path,
        "runs": str(context.runs),
        "strategies": str(context.workspace / "strategies"),
    }
    found = await context.inspect(context.service.ask, _STRATEGY, spec)
    return encode(
        PartAnswer(
            path=found["strategy_path"],
            config_path=found["config_path"],
            schema=found["schema"],
            help=found["help"],
            doc=found["doc"],
        )
    )
