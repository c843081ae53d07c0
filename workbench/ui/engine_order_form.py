"""An order by hand: through the gate, with the reader's name on it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from workbench.errors import InputError, WorkbenchError
from workbench.ui.engine_book import EngineBook
from workbench.ui.engine_question import Choice
from workbench.ui.engine_sight import Sight
from workbench.ui.engine_table import EngineTable

if TYPE_CHECKING:
    from workbench.client.client import Client
    from workbench.ui.engine_piece import EnginePiece
    from workbench.ui.live_html import Action

__all__ = ["ManualOrderForm"]

_TYPES = ("MARKET", "LIMIT", "STOP_MARKET", "STOP_LIMIT")
_TIMES = ("GTC", "DAY", "IOC", "FOK")
_PRICED = frozenset({"LIMIT", "STOP_LIMIT"})
_FLAGS = {
    "is_reduce_only": ("reduce", "reduce only", "It may only make a position smaller"),
    "is_post_only": (
        "post",
        "post only",
        "It may only rest in the book: refused where it would trade at once",
    ),
}
_KEY = "new"


class ManualOrderForm(EngineTable):
    """
    Enters an order: reviewed in words and sent by a second click; in LIVE the engine's name is typed first.

    Parameters
    ----------
    client : Client
        The server.
    name : str
        The engine.
    host : EnginePiece, optional
        The component that shows it.

    """

    title = "New order"

    def __init__(self, client: Client, name: str = "default", *, host: EnginePiece | None = None) -> None:
        super().__init__(client, name, host=host)
        self._values = {"side": "BUY", "type": "MARKET", "time_in_force": "GTC"}
        self._flags = dict.fromkeys(_FLAGS, False)
        self._sent = ""

    def build_body(self, book: EngineBook, sight: Sight, *, is_live: bool) -> str:
        """Return the form."""
        if not is_live:
            return ""
        values, kind = self._values, self._values["type"]
        ids = sorted(_list_instruments(book))
        instrument = values.get("instrument_id") or (ids[0] if len(ids) == 1 else "")
        options = "".join(f"<option value='{escape(one, quote=True)}'></option>" for one in ids)
        fields = (
            "<div class='wb-field'><label for='wb-order-instrument_id'>Instrument</label><input class='wb-input' "
            f"id='wb-order-instrument_id' type='text' list='wb-order-ids' data-action='order-field' "
            f"data-key='instrument_id' data-live value='{escape(instrument, quote=True)}'>"
            f"<datalist id='wb-order-ids'>{options}</datalist></div>"
        )
        fields += _build_select("side", "Side", ("BUY", "SELL"), values["side"])
        fields += self._build_text("quantity", "Quantity")
        fields += _build_select("type", "Type", _TYPES, kind)
        fields += self._build_text("price", "Price") if kind in _PRICED else ""
        fields += self._build_text("trigger_price", "Trigger") if kind.startswith("STOP") else ""
        fields += _build_select("time_in_force", "Time in force", _TIMES, values["time_in_force"])
        fields += (
            f"<span class='wb-order-flags'>{''.join(self._build_flag(n) for n in self._list_flags())}</span>"
        )
        why = "" if book.can_trade is not False else "your role may look, and not trade"
        why = why or ("" if sight.is_fresh and sight.state == "RUNNING" else "the engine does not run")
        busy = self._commands.busy.get(_KEY)
        off = f" disabled title='{escape(why, quote=True)}'" if why or busy else ""
        words = escape(self._describe(instrument), quote=True)
        button = (
            f"<button class='wb-btn p' type='button' id='wb-order-send' data-action='send' "
            f"data-confirm='{words}?'{off}>{busy or 'Send…'}</button>"
        )
        return (
            f"{self._build_asked()}<div class='wb-order-form'>{fields}{button}</div>{self._build_outcome()}"
        )

    def take(self, action: Action) -> None:
        """Take what is typed, or send the order."""
        value = str(action.value or "").strip()
        match action.name:
            case "order-field" if action.key in _FIELDS:
                self._values[action.key] = value[:100]
                self._sent = ""
            case "order-flag" if action.key in _FLAGS:
                self._flags[action.key] = bool(action.value)
                self._sent = ""
            case "send":
                self._send()
            case _:
                super().take(action)

    def _send(self) -> None:
        values = dict(self._values)
        if not values.get("instrument_id"):
            ids = self._feed.read(_list_instruments)
            values["instrument_id"] = next(iter(ids)) if len(ids) == 1 else ""
        kind = values["type"]
        wanted = ["instrument_id", "quantity"]
        wanted += ["price"] if kind in _PRICED else []
        wanted += ["trigger_price"] if kind.startswith("STOP") else []
        for name in wanted:
            if not values.get(name):
                raise InputError(f"{name.replace('_', ' ')} is missing", field=name)
        order: dict[str, Any] = {name: values[name] for name in (*wanted, "side", "type", "time_in_force")}
        order |= {name: self._flags[name] for name in self._list_flags()}
        words, engine = self._describe(order["instrument_id"]), self.engine

        def submit(_: str) -> None:
            self._commands.run(_KEY, "sending…", lambda _: self._note_sent(engine.submit(**order), words))

        if self._is_live_engine() and not order["is_reduce_only"]:
            lines = ["The order goes to the venue.", "It passes the gate like every other order."]
            self._commands.ask(
                _KEY, f"{words}?", lines, [Choice("yes", "Send", is_danger=True)], submit, self._name
            )
        else:
            submit("")

    def _note_sent(self, answer: dict[str, object], words: str) -> None:
        self._sent = f"{words}: sent as {answer.get('client_order_id')}"

    def _list_flags(self) -> list[str]:
        return [name for name in _FLAGS if name != "is_post_only" or self._values["type"] in _PRICED]

    def _describe(self, instrument: str) -> str:
        values, kind = self._values, self._values["type"]
        trigger = (
            f" from {values['trigger_price']}" if values.get("trigger_price") and kind[:4] == "STOP" else ""
        )
        price = f" @ {values['price']}" if values.get("price") and kind in _PRICED else ""
        flags = "" if values["time_in_force"] == "GTC" else f", {values['time_in_force']}"
        flags += "".join(f", {_FLAGS[name][1]}" for name in self._list_flags() if self._flags[name])
        order = f"{values['side']} {values.get('quantity') or '…'} {instrument or '…'} {kind}"
        return f"{order}{trigger}{price}{flags}"

    def _build_text(self, name: str, label: str) -> str:
        value = escape(self._values.get(name, ""), quote=True)
        return (
            f"<div class='wb-field'><label for='wb-order-{name}'>{label}</label><input class='wb-input' type='text' "
            f"inputmode='decimal' id='wb-order-{name}' data-action='order-field' data-key='{name}' data-live "
            f"value='{value}'></div>"
        )

    def _build_flag(self, name: str) -> str:
        key, label, hint = _FLAGS[name]
        checked = " checked" if self._flags[name] else ""
        return (
            f"<label class='wb-check' title='{hint}'><input type='checkbox' id='wb-order-{key}' "
            f"data-action='order-flag' data-key='{name}'{checked}> {label}</label>"
        )

    def _build_outcome(self) -> str:
        error = self._commands.errors.get(_KEY)
        if error is not None:
            text = str(error) if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}"
            return f"<div class='wb-oops' role='alert'>{escape(text)}</div>"
        return f"<div class='wb-note' role='status'>{escape(self._sent)}</div>" if self._sent else ""


_FIELDS = frozenset({"instrument_id", "side", "quantity", "type", "price", "trigger_price", "time_in_force"})


def _list_instruments(book: EngineBook) -> set[str]:
    """Return the instruments that this engine has to do with."""
    found = {str(one.get("instrument_id")) for one in book.facts.get("market_data") or []}
    found |= {row.instrument_id for row in book.positions.values()}
    found |= {row.instrument_id for row in book.open_orders}
    # Data of bars are told of by their bar type.
    return {name for name in found if "." in name and "-EXTERNAL" not in name and "-INTERNAL" not in name}


def _build_select(name: str, label: str, choices: tuple[str, ...], value: str) -> str:
    options = "".join(
        f"<option value='{one}'{' selected' if one == value else ''}>{one}</option>" for one in choices
    )
    return (
        f"<div class='wb-field'><label for='wb-order-{name}'>{label}</label><select class='wb-input' "
        f"id='wb-order-{name}' data-action='order-field' data-key='{name}'>{options}</select></div>"
    )
