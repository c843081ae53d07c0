"""The routes about strategies: which there are, and what their configurations look like."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from workbench.api.answers import answer, encode
from workbench.api.auth import require
from workbench.api.context import Context, ContextOf
from workbench.records import UserRecord
from workbench.roles import Permission

__all__ = ["StrategyAnswer", "StrategyBody", "StrategyItem", "StrategyList", "router"]

router = APIRouter(tags=["strategies"])

_TASK = "workbench.backtest.preparation:describe_strategy"
_LIST = "workbench.backtest.repertoire:list_strategies"
_IMPORT_PATH = r"^[\w.]+:\w+$"
_CLASS = r"^([\w.]+:)?\w+$"
_Viewer = Annotated[UserRecord, require(Permission.VIEW)]
_Researcher = Annotated[UserRecord, require(Permission.RESEARCH)]


class StrategyItem(msgspec.Struct, frozen=True, kw_only=True):
    """
    One strategy that can be chosen.

    Attributes
    ----------
    path : str
        ``package.module:Class``, or ``file.py:Class`` of a file in the workspace's ``strategies``.
    name : str
        The class.
    config_path : str
        Its configuration, in the same way.
    doc : str
        The first paragraph of its docstring.
    origin : {'nautilus', 'workspace', 'captured'}
        Where it is: nautilus's examples, the workspace's files, or kept with earlier runs.
    used_by : str
        The latest run of a captured one.

    """

    path: str
    name: str
    config_path: str
    doc: str
    origin: Literal["nautilus", "workspace", "captured"]
    used_by: str = ""


class StrategyList(msgspec.Struct, frozen=True, kw_only=True):
    """The strategies that there are: the workspace's own, captured ones of the latest runs, and nautilus's."""

    items: list[StrategyItem]


class StrategyBody(BaseModel):
    """
    A strategy, where its name alone does not lead to it.

    `path` is ``module:Class``; `config_path` the same, or the name of a class beside it. `sources` are captured
    modules by name, as for a backtest.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    path: str = Field(max_length=300, pattern=_IMPORT_PATH)
    config_path: str | None = Field(None, max_length=300, pattern=_CLASS)
    sources: dict[Annotated[str, Field(max_length=300)], str] = Field({}, max_length=10)
    search_path: list[Annotated[str, Field(max_length=4_000, pattern=r"^[^\x00]*$")]] = Field(
        [], max_length=100
    )


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
    sources : dict[str, str]
        The text of the captured modules that the two paths name, for whoever submits a run of it.

    """

    strategy_path: str
    config_path: str
    schema: dict[str, Any]
    help: dict[str, str]
    doc: str
    sources: dict[str, str]


@router.get("/strategies", **answer(StrategyList))
async def list_strategies(context: ContextOf, user: _Viewer) -> Response:
    """List the strategies that there are; their source is read, and nothing is run."""
    spec = {"strategies": str(context.workspace / "strategies"), "runs": str(context.runs)}
    found = await context.inspect(context.service.ask, _LIST, spec)
    return encode(msgspec.convert(found, StrategyList))


@router.post("/strategies/schema", **answer(StrategyAnswer, HTTPStatus.NOT_FOUND, has_body=True))
async def describe_source(context: ContextOf, user: _Researcher, body: StrategyBody) -> Response:
    """Return the JSON schema of the configuration of a strategy whose source comes with the request."""
    return await _describe(context, body.model_dump())


@router.get("/strategies/{path}/schema", **answer(StrategyAnswer, HTTPStatus.NOT_FOUND))
async def describe_strategy(
    context: ContextOf,
    user: _Researcher,
    path: Annotated[str, Path(max_length=300, pattern=_IMPORT_PATH)],
    config_path: Annotated[str | None, Query(max_length=300, pattern=_CLASS)] = None,
) -> Response:
    """Return the JSON schema of a strategy's configuration; `path` is as in the list of strategies."""
    return await _describe(context, {"path": path, "config_path": config_path})


async def _describe(context: Context, wish: dict[str, Any]) -> Response:
    spec = {**wish, "runs": str(context.runs), "strategies": str(context.workspace / "strategies")}
    found = await context.inspect(context.service.ask, _TASK, spec)
    return encode(msgspec.convert(found, StrategyAnswer))
