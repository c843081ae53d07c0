"""The routes about sealed ranges of datasets: seal, list, who has used them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from workbench.api.answers import answer, encode
from workbench.api.auth import require
from workbench.api.context import ContextOf
from workbench.records import HoldoutRecord, HoldoutUse, UserRecord
from workbench.roles import Permission

__all__ = ["HoldoutBody", "HoldoutList", "HoldoutUseList", "router"]

router = APIRouter(tags=["holdouts"])

_TEXT = r"^[^\x00]*$"
_Dataset = Annotated[str, Query(min_length=1, max_length=200, pattern=_TEXT)]
_Viewer = Annotated[UserRecord, require(Permission.VIEW)]
_Researcher = Annotated[UserRecord, require(Permission.RESEARCH)]
_Admin = Annotated[UserRecord, require(Permission.ADMINISTER)]


class HoldoutList(msgspec.Struct, frozen=True, kw_only=True):
    """All sealed ranges."""

    items: list[HoldoutRecord]


class HoldoutUseList(msgspec.Struct, frozen=True, kw_only=True):
    """The runs that have looked at sealed data of a dataset, the latest first, 1,000 at most."""

    items: list[HoldoutUse]


class HoldoutBody(BaseModel):
    """
    What is to be sealed, both ends inside.

    `dataset` is written as in a job or a preview. `start` and `end` are ISO 8601; without a zone they are UTC,
    and a day is its first moment.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    dataset: str = Field(min_length=1, max_length=200, pattern=_TEXT)
    start: str = Field(max_length=40)
    end: str = Field(max_length=40)


@router.get("/holdouts", **answer(HoldoutList))
def list_holdouts(context: ContextOf, user: _Viewer) -> Response:
    """List the sealed ranges, each with how often it was used."""
    return encode(HoldoutList(items=context.store.list_holdouts()))


@router.post(
    "/holdouts", **answer(HoldoutRecord, HTTPStatus.CONFLICT, status=HTTPStatus.CREATED, has_body=True)
)
def add_holdout(context: ContextOf, user: _Researcher, body: HoldoutBody) -> Response:
    """Seal a range of a dataset: backtests that touch it are refused unless they say that they use it."""
    holdout = context.store.add_holdout(body.dataset, body.start, body.end, sealed_by=user.name)
    return encode(holdout, HTTPStatus.CREATED)


@router.get("/holdouts/uses", **answer(HoldoutUseList))
def list_holdout_uses(context: ContextOf, user: _Viewer, dataset: _Dataset) -> Response:
    """List the runs that have looked at sealed data of a dataset, under a seal of now or of before."""
    return encode(HoldoutUseList(items=context.store.list_holdout_uses(dataset)))


@router.delete("/holdouts", **answer(None, HTTPStatus.NOT_FOUND, status=HTTPStatus.NO_CONTENT))
def remove_holdout(context: ContextOf, admin: _Admin, dataset: _Dataset) -> Response:
    """Break the seal of a dataset; its uses stay counted."""
    context.store.remove_holdout(dataset)
    return Response(status_code=HTTPStatus.NO_CONTENT)
