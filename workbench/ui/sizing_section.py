"""The part of the form about sizing, as HTML."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from html import escape
from typing import Any

from workbench.ui.configuration_state import ConfigurationState
from workbench.ui.fields import Field, read_number
from workbench.ui.formats import format_time
from workbench.ui.inputs import build_field, build_select
from workbench.ui.places import MISSING, find_value

__all__ = ["SizingSection"]

_ONCE = "Computed once, before the run: the strategy opens this quantity throughout."
_OWN: Mapping[str, str] = {
    "FIXED_QUANTITY": "Every opening order has this quantity.",
    "FIXED_NOTIONAL": "Computed at every opening order, at the price then.",
    "PERCENT_OF_EQUITY": "Computed at every opening order, from equity marked to market then.",
    "VOLATILITY_TARGET": "Computed at every opening order, from equity and volatility then.",
}


class SizingSection:
    """
    One rendering of the part about sizing.

    Parameters
    ----------
    state : ConfigurationState
        What the form shows.
    errors : Mapping of str to str
        What is wrong, by place.
    prefix : str
        Of the ids.

    """

    def __init__(self, state: ConfigurationState, errors: Mapping[str, str], *, prefix: str) -> None:
        self._state = state
        self._errors = errors
        self._prefix = prefix

    def build_html(self) -> str:
        """Return the part; empty while the strategy is not known."""
        sizing = self._state.sizing
        if sizing.place:
            return self._wrap(self._build_own())
        if not self._state.is_described:
            return ""
        target = sizing.find_target()
        if target is None:
            return self._wrap("<div class='wb-note'>This strategy has no size parameter.</div>")
        return self._wrap(self._build_once(target))

    def _wrap(self, body: str) -> str:
        own = f"{self._prefix}-sizing-title"
        return (
            f"<div class='wb-sizing' role='group' aria-labelledby='{own}'>"
            f"<div class='wb-sub' id='{own}'>Sizing</div>{body}</div>"
        )

    # ---- a strategy that is sized at every order

    def _build_own(self) -> str:
        state = self._state
        fields = state.sizing.build_fields()
        method = find_value(state.config, f"{state.sizing.place}.method")
        method = fields[0].default if method is MISSING else method
        words = _OWN.get(str(method), "No rule: what the strategy does then is its own affair.")
        rule = self._errors.get(state.sizing.place, "")
        return f"{self._build_fields(fields, state.config, rule)}<div class='wb-note'>{words}</div>"

    def _build_fields(
        self, fields: list[Field], document: Mapping[str, Any], rule: str, more: str = ""
    ) -> str:
        parts = []
        for one in fields:
            value = find_value(document, one.path)
            error = self._errors.get(one.path, "")
            if one.name == "method" and not error:
                error = rule
            html = build_field(one, value, prefix=self._prefix, error=error)
            parts.append(f"<div class='wide'>{html}</div>" if one.name == "method" else html)
        return f"<div class='wb-pair'>{''.join(parts)}{more}</div>"

    # ---- a size that is computed once

    def _build_once(self, target: Field) -> str:
        state = self._state
        choice = state.sizing.choice
        value = find_value(state.config, target.path)
        error = self._errors.get(target.path, "")
        quantity = build_field(target, value, prefix=self._prefix, error=error)
        more = self._build_targets(target) + quantity
        html = self._build_fields(
            state.sizing.build_fields()[: 1 if not choice.is_computed else None],
            choice.document,
            self._errors.get(choice.place, ""),
            more,
        )
        return f"{html}{self._build_answer(target)}" if choice.is_computed else html

    def _build_targets(self, target: Field) -> str:
        """Return which parameter takes the quantity, where there are several."""
        targets = self._state.sizing.find_targets()
        if len(targets) < 2:
            return ""
        return build_select(
            Field("size-target", "Sets", "choice"),
            [(one.path, one.label) for one in targets],
            target.path,
            prefix=self._prefix,
            action="size-target",
        )

    def _build_answer(self, target: Field) -> str:
        choice = self._state.sizing.choice
        answer = choice.answer
        lines = []
        if choice.is_asking:
            lines.append("<div class='wb-note' role='status'>Computing…</div>")
        elif answer is not None and answer["quantity"] is not None:
            lines.append(
                f"<div class='wb-note wb-sum' role='status'>{_write_sum(answer, choice.document, target)}</div>"
            )
            lines += [f"<div class='wb-note'>{escape(words)}</div>" for words in _write_sources(answer)]
            if answer["reason"]:
                lines.append(f"<div class='wb-note warn'>Cut: {escape(str(answer['reason']))}.</div>")
        elif "" in choice.refusals and choice.place not in self._errors:
            lines.append("<div class='wb-note'>Computed when the rest of the form is right.</div>")
        lines.append(f"<div class='wb-note'>{_ONCE}</div>")
        return "".join(lines)


def _write_sum(answer: Mapping[str, Any], document: Mapping[str, Any], target: Field) -> str:
    """Return the numbers of the formula, in one line of HTML."""
    currency = str(answer["currency"])
    method = find_value(document, "sizing.method")
    amount = _shorten(find_value(document, "sizing.amount"))
    parts: list[str] = []
    if method == "FIXED_NOTIONAL":
        parts.append(f"{amount} {currency}")
    elif method == "PERCENT_OF_EQUITY":
        parts.append(
            f"{amount} % of {_shorten(answer['equity'])} {currency} = {_shorten(answer['notional'])} {currency}"
        )
    else:
        volatility = _shorten(answer["volatility"], scale=100, digits=4)
        parts.append(
            f"{_shorten(answer['equity'])} {currency} × {amount} % ÷ {volatility} % = "
            f"{_shorten(answer['notional'])} {currency}"
        )
    parts.append(f"at {_shorten(answer['price'])}")
    if answer["rate_basis"]:
        parts.append(f"(× {_shorten(answer['rate'])})")
    unit = f" {target.unit}" if target.unit else ""
    words = escape(" ".join(parts))
    return f"{words}: <b>{escape(_shorten(answer['quantity'], digits=28))}{escape(unit)}</b>, rounded down"


def _write_sources(answer: Mapping[str, Any]) -> list[str]:
    """Return where the numbers come from, a line each."""
    lines = [f"Price: {answer['price_basis']}, {format_time(answer['price_ts'])[:16]}"]
    if answer["rate_basis"]:
        lines.append(f"Rate: {answer['rate_basis']}")
    if answer["volatility"]:
        lines.append(f"Volatility: {int(answer['bars']):,} bars of {answer['bar_type']} before the run")
    return lines


def _shorten(value: Any, *, scale: int = 1, digits: int = 8) -> str:
    """Return a number for people: its thousands apart, and no more digits than tell something."""
    number = value if isinstance(value, Decimal) else read_number(str(value))
    if number is None:
        return str(value)
    number *= scale
    if len(number.normalize().as_tuple().digits) > digits:
        places = max(0, digits - 1 - number.adjusted())
        number = round(number, places) if places else number.to_integral_value()
    return f"{number.normalize():,f}"
