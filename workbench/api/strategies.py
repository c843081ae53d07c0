"""The route about strategies: what their configuration looks like."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query, Response

from workbench.api.answers import answer, encode
from workbench.api.auth import require
from workbench.api.context import ContextOf
from workbench.records import UserRecord
from workbench.roles import Permission

__all__ = ["StrategyAnswer", "router"]

router = APIRouter(tags=["strategies"])

_TASK = "workbench.backtest.preparation:describe_strategy"
_IMPORT_PATH = r"^[\w.]+:\w+$"


class StrategyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a form for a strategy's configuration is built from.

    Attributes
    ----------
    strategy_path, config_path : str
        Where the two classes are: ``package.module:Class``.
    schema : dict
        The JSON schema of the configuration.
    help : dict[str, str]
        A text for each field, as far as there is one.
    doc : str
        What the strategy says about itself.

    """

    strategy_path: str
    config_path: str
    schema: dict[str, Any]
    help: dict[str, str]
    doc: str


@router.get("/strategies/{path}/schema", **answer(StrategyAnswer, HTTPStatus.NOT_FOUND))
async def describe_strategy(
    context: ContextOf,
    user: Annotated[UserRecord, require(Permission.RESEARCH)],
    path: Annotated[str, Path(max_length=300, pattern=_IMPORT_PATH)],
    config_path: Annotated[str | None, Query(max_length=300, pattern=_IMPORT_PATH)] = None,
) -> Response:
    """Return the JSON schema of a strategy's configuration; `path` is ``package.module:Class``."""
    spec = {"path": path, "config_path": config_path, "runs": str(context.runs)}
    found = await context.inspect(context.service.ask, _TASK, spec)
    return encode(msgspec.convert(found, StrategyAnswer))
