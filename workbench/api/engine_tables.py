"""The routes about what an engine holds: orders, fills, positions, accounts; and orders by hand."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec
from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from workbench.api.answers import answer, encode
from workbench.api.auth import require
from workbench.api.context import ContextOf
from workbench.api.engine_desk import NameOf
from workbench.api.engine_line import ask_host
from workbench.engine_records import AccountRow, FillRow, OrderRow, PositionRow
from workbench.records import UserRecord
from workbench.roles import Permission

__all__ = [
    "AccountList",
    "CloseBody",
    "FillList",
    "ModifyBody",
    "OrderBody",
    "OrderList",
    "PositionList",
    "router",
]

router = APIRouter(tags=["engines"])

_ORDER_SECS = 10.0
_Viewer = Annotated[UserRecord, require(Permission.VIEW)]
_Trader = Annotated[UserRecord, require(Permission.TRADE)]
# The name of a position may hold that of an instrument, with a slash: it is not an address.
_Id = Annotated[str, Path(max_length=120, pattern=r"^[A-Za-z0-9_:@+-][A-Za-z0-9_.:@+/-]*$")]
_AMOUNT = r"^(0|[1-9][0-9]{0,23})(\.[0-9]{1,18})?$"
_PRICE = r"^-?(0|[1-9][0-9]{0,23})(\.[0-9]{1,18})?$"


class OrderList(msgspec.Struct, frozen=True, kw_only=True):
    """Orders of an engine."""

    items: list[OrderRow]


class FillList(msgspec.Struct, frozen=True, kw_only=True):
    """Fills of an engine, the latest first."""

    items: list[FillRow]


class PositionList(msgspec.Struct, frozen=True, kw_only=True):
    """The open positions of an engine."""

    items: list[PositionRow]


class AccountList(msgspec.Struct, frozen=True, kw_only=True):
    """The accounts of an engine."""

    items: list[AccountRow]


class OrderBody(BaseModel):
    """
    An order by hand. Amounts and prices are decimal text.

    It passes the gate as every other order does, and carries the name of who asked.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    instrument_id: str = Field(min_length=3, max_length=100, pattern=r"^[^\x00-\x1f]+\.[^\x00-\x1f.]+$")
    side: Literal["BUY", "SELL"]
    type: Literal["MARKET", "LIMIT", "STOP_MARKET", "STOP_LIMIT"] = "MARKET"
    quantity: str = Field(pattern=_AMOUNT)
    price: str | None = Field(None, pattern=_PRICE)
    trigger_price: str | None = Field(None, pattern=_PRICE)
    time_in_force: Literal["GTC", "IOC", "FOK", "DAY"] = "GTC"
    is_reduce_only: bool = False
    is_post_only: bool = False


class ModifyBody(BaseModel):
    """What is to change about an order; decimal text."""

    model_config = ConfigDict(extra="forbid", strict=True)

    quantity: str | None = Field(None, pattern=_AMOUNT)
    price: str | None = Field(None, pattern=_PRICE)
    trigger_price: str | None = Field(None, pattern=_PRICE)


class CloseBody(BaseModel):
    """How much of a position is to be closed, decimal text; default: all of it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    quantity: str | None = Field(None, pattern=_AMOUNT)


_ALL = CloseBody(quantity=None)


@router.get("/orders", **answer(OrderList, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
async def list_orders(
    context: ContextOf,
    user: _Viewer,
    name: NameOf,
    is_open: Annotated[bool | None, Query(alias="open")] = None,
) -> Response:
    """List the orders of a running engine: the open ones, the closed ones, or all."""
    params = {} if is_open is None else {"open": is_open}
    return encode(OrderList(items=await _ask(context, user, name, "GET", "/orders", list[OrderRow], params)))


@router.get("/fills", **answer(FillList, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
async def list_fills(
    context: ContextOf, user: _Viewer, name: NameOf, limit: Annotated[int, Query(ge=1, le=5_000)] = 200
) -> Response:
    """List the latest fills of a running engine."""
    rows = await _ask(context, user, name, "GET", "/fills", list[FillRow], {"limit": limit})
    return encode(FillList(items=rows))


@router.get("/positions", **answer(PositionList, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
async def list_positions(context: ContextOf, user: _Viewer, name: NameOf) -> Response:
    """List the open positions of a running engine, with what they are valued at."""
    rows = await _ask(context, user, name, "GET", "/positions", list[PositionRow])
    return encode(PositionList(items=rows))


@router.get("/accounts", **answer(AccountList, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
async def list_accounts(context: ContextOf, user: _Viewer, name: NameOf) -> Response:
    """List the accounts of a running engine."""
    rows = await _ask(context, user, name, "GET", "/accounts", list[AccountRow])
    return encode(AccountList(items=rows))


@router.post(
    "/orders",
    **answer(dict, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, status=HTTPStatus.ACCEPTED, has_body=True),
)
async def submit_order(context: ContextOf, trader: _Trader, name: NameOf, body: OrderBody) -> Response:
    """Send an order by hand; what becomes of it is told by the events."""
    wish = body.model_dump(exclude_none=True)
    return await _act(context, trader, name, "POST", "/orders", wish)


@router.patch(
    "/orders/{client_order_id:path}",
    **answer(dict, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, status=HTTPStatus.ACCEPTED, has_body=True),
)
async def modify_order(
    context: ContextOf, trader: _Trader, name: NameOf, client_order_id: _Id, body: ModifyBody
) -> Response:
    """Change the quantity or the price of an open order."""
    wish = body.model_dump(exclude_none=True)
    return await _act(context, trader, name, "PATCH", f"/orders/{_quote(client_order_id)}", wish)


@router.delete(
    "/orders/{client_order_id:path}",
    **answer(dict, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, status=HTTPStatus.ACCEPTED),
)
async def cancel_order(context: ContextOf, trader: _Trader, name: NameOf, client_order_id: _Id) -> Response:
    """Cancel an open order."""
    return await _act(context, trader, name, "DELETE", f"/orders/{_quote(client_order_id)}", None)


@router.post(
    "/positions/{position_id:path}/close",
    **answer(dict, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, status=HTTPStatus.ACCEPTED, has_body=True),
)
async def close_position(
    context: ContextOf, trader: _Trader, name: NameOf, position_id: _Id, body: CloseBody = _ALL
) -> Response:
    """Close a position, or a part of it, at the market."""
    wish = body.model_dump(exclude_none=True)
    return await _act(context, trader, name, "POST", f"/positions/{_quote(position_id)}/close", wish)


def _quote(name: str) -> str:
    return quote(name, safe="")


async def _ask[T](
    context: ContextOf,
    user: UserRecord,
    name: str,
    method: str,
    path: str,
    kind: type[T],
    params: dict[str, Any] | None = None,
) -> T:
    directory = await context.engines.work(context.engines.find, name)
    return await ask_host(directory, method, path, kind, user=user.name, params=params)


async def _act(
    context: ContextOf, trader: UserRecord, name: str, method: str, path: str, body: dict[str, Any] | None
) -> Response:
    directory = await context.engines.work(context.engines.find, name)
    found = await ask_host(
        directory, method, path, dict[str, Any], user=trader.name, body=body, timeout_secs=_ORDER_SECS
    )
    return encode(found, HTTPStatus.ACCEPTED)
