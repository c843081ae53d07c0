"""The routes about presets: where a configuration can begin."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from workbench.api.answers import answer, encode
from workbench.api.auth import require
from workbench.live.presets import PRESETS, Preset, build_preset
from workbench.records import UserRecord
from workbench.roles import Permission

__all__ = ["PresetAnswer", "PresetBody", "PresetList", "router"]

router = APIRouter(tags=["engines"])

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
