"""One field of a form: what is typed becomes a value of the configuration, and back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

import pandas as pd

from workbench.ui.places import MISSING

__all__ = ["Field", "read_number"]

type Kind = Literal[
    "int", "float", "decimal", "text", "bool", "choice", "list", "money", "amount", "time", "json"
]


# Commas only between groups of three digits: "1,5" is no number here, rather than fifteen.
_NUMBER = re.compile(r"[+-]?(\d{1,3}(,\d{3})+|\d+)?(\.\d*)?([eE][+-]?\d+)?")
_MONEY = re.compile(r"(?P<amount>\S+)\s+(?P<currency>[A-Za-z][A-Za-z0-9]*)")
_BETWEEN_MONEY = re.compile(r"\s*;\s*|(?<=[A-Za-z])\s*,\s*")
_LIST_ITEM = re.compile(r"[^\s,\[\]\"](?:[^,\"]*[^\s,\"])?")
_MOST_SHOWN = 40


@dataclass(frozen=True)
class Field:
    """
    A field of a form.

    Attributes
    ----------
    path : str
        The place of its value in the configuration, such as ``engine.strategies.0.config.fast_ema_period``.
    label, help, unit : str
        What it is called, one line about it, and what its numbers count.
    hint : str
        What stands below it in place of unit and bounds.
    kind : str
        What it takes. ``decimal``, ``amount`` and ``money`` (a list of amounts) are text in the configuration:
        exactly what was meant.
    is_required, is_nullable : bool
        Whether the configuration has to name it; whether it may be nothing.
    default : Any
        What nautilus takes where the configuration does not name it.
    choices : Sequence of (value, label)
        Of a ``choice``.
    lowest, highest : Decimal, optional
        The bounds of a number; `is_above` and `is_below`: the bound itself is outside.
    item : {'text', 'number'}
        What the items of a ``list`` are.
    scale : int or Decimal
        How many of the configuration's units one of the shown is: 1,000,000 for milliseconds kept as nanoseconds,
        0.01 for a percentage kept as a fraction.
    rule : Callable, optional
        Says what is wrong with a text, in words.
    slot : str
        What the id of its input is made of, where its place may move while somebody types.

    """

    path: str
    label: str
    kind: Kind = "text"
    help: str = ""
    unit: str = ""
    hint: str = ""
    is_required: bool = False
    is_nullable: bool = False
    default: Any = MISSING
    choices: Sequence[tuple[Any, str]] = ()
    lowest: Decimal | None = None
    highest: Decimal | None = None
    is_above: bool = False
    is_below: bool = False
    item: Literal["text", "number"] = "text"
    scale: int | Decimal = 1
    rule: Callable[[str], str] | None = None
    slot: str = ""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]

    @property
    def bounds(self) -> str:
        """The bounds in words, such as ``above 0`` or ``0 to 1``; empty without any."""
        low, high = self.lowest, self.highest
        if low is not None and high is not None and not (self.is_above or self.is_below):
            return f"{low:f} to {high:f}"
        words = []
        if low is not None:
            words.append(f"above {low:f}" if self.is_above else f"at least {low:f}")
        if high is not None:
            words.append(f"below {high:f}" if self.is_below else f"at most {high:f}")
        return ", ".join(words)

    @property
    def expected(self) -> str:
        """What it takes, in words."""
        words = {
            "int": "a whole number",
            "float": "a number",
            "decimal": "a decimal number, such as 0.25",
            "text": "text",
            "bool": "yes or no",
            "choice": f"one of {', '.join(label for _, label in self.choices)}",
            "list": "values with commas between them",
            "money": "an amount and its currency, such as 1,000,000 USD",
            "amount": "an amount and its currency, such as 2.50 USD",
            "time": "a time in UTC, such as 2012-02-06 00:00",
            "json": "JSON",
        }[self.kind]
        return f"{words}, {self.bounds}" if self.bounds else words

    def read(self, text: str) -> Any:
        """
        Return the value that somebody means who has typed `text`.

        What cannot be read stays as it was typed: `check` then says what is wrong with it. An empty text is
        ``None`` where that is a value, otherwise `MISSING`.
        """
        text = text.strip()
        if not text:
            return None if self.is_nullable else MISSING
        value = self._read(text)
        return text if value is MISSING else value

    def _read(self, text: str) -> Any:
        match self.kind:
            case "int" | "float" | "decimal":
                return self._read_number(text)
            case "bool":
                return {"yes": True, "true": True, "no": False, "false": False}.get(text.lower(), MISSING)
            case "choice":
                return next((v for v, label in self.choices if text in (label, _write_plain(v))), MISSING)
            case "list":
                return self._read_list(text)
            case "money":
                return [_read_money(part) or part for part in _BETWEEN_MONEY.split(text) if part]
            case "amount":
                return _read_money(text) or MISSING
            case "time":
                return _read_time(text) or MISSING
            case "json":
                return _read_json(text)
            case _:
                return text

    def _read_number(self, text: str) -> Any:
        number = read_number(text.removesuffix(self.unit) if self.unit else text)
        if number is None:
            return MISSING
        if self.scale != 1:  # Multiplied, a long number would be rounded
            number = (number * self.scale).normalize()
        if self.kind == "decimal":
            return f"{number:f}"
        if self.kind == "int":
            return int(number) if number == number.to_integral_value() else MISSING
        return float(number)

    def _read_list(self, text: str) -> Any:
        if text.startswith("["):
            found = _read_json(text)
            return found if isinstance(found, list) else MISSING
        parts = [part.strip() for part in text.split(",") if part.strip()]
        if self.item == "text":
            return parts
        numbers = [read_number(part) for part in parts]
        if None in numbers:
            return MISSING
        return [int(n) if n == n.to_integral_value() else float(n) for n in numbers if n is not None]

    def write(self, value: Any) -> str:
        """Return the text that a field shows for a value; `read` makes the same value of it."""
        if value is MISSING:
            value = self.default
        if value is MISSING or value is None:
            return ""
        match self.kind:
            case "int" | "float" | "decimal":
                return self._write_number(value)
            case "bool":
                return (
                    {True: "yes", False: "no"}.get(value, str(value))
                    if isinstance(value, bool)
                    else str(value)
                )
            case "choice":
                return next((label for v, label in self.choices if v == value), _write_plain(value))
            case "list":
                return _write_list(value)
            case "money":
                parts = value if isinstance(value, list) else [value]
                return "; ".join(_write_money(str(part)) for part in parts)
            case "amount":
                return _write_money(str(value))
            case "time":
                return _write_time(value)
            case "json":
                is_plain = isinstance(value, str) and _read_json(value) is MISSING
                return str(value) if is_plain else json.dumps(value, ensure_ascii=False)
            case _:
                return value if isinstance(value, str) else _write_plain(value)

    def _write_number(self, value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return _write_plain(value)
        number = read_number(str(value) if isinstance(value, str) else repr(value))
        if number is None:
            return str(value)
        if self.scale != 1:
            number = (number / self.scale).normalize()
        text = f"{number:f}"
        return _group(text if self.kind == "decimal" else text.removesuffix(".0"))

    def check(self, value: Any) -> str:
        """Return what is wrong with a value, in words; empty if nothing is, as far as that can be told here."""
        if value is MISSING:
            return f"{self.label} is missing" if self.is_required else ""
        if value is None:
            ok = self.is_nullable or (not self.is_required and self.default is None)
            return "" if ok else f"{self.label} is nothing"
        if not self._is_sound(value):
            shown = self.write(value)
            shown = shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}…"
            return f"“{shown}” is not {self.expected}"
        if self.kind in ("int", "float", "decimal"):
            return self._check_bounds(value)
        return self.rule(value) if self.rule is not None else ""

    def _is_sound(self, value: Any) -> bool:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        match self.kind:
            case "int":
                return is_number and float(value).is_integer()
            case "float":
                return is_number
            case "decimal":
                return is_number or (isinstance(value, str) and read_number(value) is not None)
            case "bool":
                return isinstance(value, bool)
            case "choice":
                return any(v == value for v, _ in self.choices)
            case "list":
                return isinstance(value, list)
            case "money":
                parts = value if isinstance(value, list) else [value]
                return bool(parts) and all(_read_money(str(part)) for part in parts)
            case "amount":
                return isinstance(value, str) and bool(_read_money(value))
            case "time":
                return _parse_time(value) is not None
            case "json":
                return True  # What it has to be only the server knows
            case _:
                return isinstance(value, str)

    def _check_bounds(self, value: Any) -> str:
        found = read_number(str(value))
        if found is None:
            return f"{self.write(value)} is out of all bounds"
        number = found / self.scale
        low, high = self.lowest, self.highest
        is_low = low is not None and (number <= low if self.is_above else number < low)
        is_high = high is not None and (number >= high if self.is_below else number > high)
        return f"It must be {self.bounds}, not {self.write(value)}" if is_low or is_high else ""


def read_number(text: str) -> Decimal | None:
    """Return the finite number in a text, with commas only between thousands; ``None`` if there is none."""
    text = text.strip().replace("−", "-").replace("_", "").replace("\N{NO-BREAK SPACE}", "")
    if not _NUMBER.fullmatch(text) or not any(c.isdigit() for c in text.partition("e")[0]):
        return None
    try:
        number = Decimal(text.replace(",", ""))
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) < 400 else None


def _group(text: str) -> str:
    """Return a number with its thousands separated, and its decimals as they are."""
    sign = "-" if text.startswith("-") else ""
    whole, point, rest = text.removeprefix("-").partition(".")
    return f"{sign}{int(whole or '0'):,}{point}{rest}"


def _read_money(text: str) -> str:
    """Return an amount with its currency as nautilus reads it; empty if it is none."""
    match = _MONEY.fullmatch(text.strip())
    number = read_number(match["amount"]) if match else None
    return f"{number:f} {match['currency'].upper()}" if match and number is not None else ""


def _write_money(text: str) -> str:
    match = _MONEY.fullmatch(text.strip())
    number = read_number(match["amount"]) if match else None
    return text if match is None or number is None else f"{_group(f'{number:f}')} {match['currency']}"


def _parse_time(value: Any) -> pd.Timestamp | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    if isinstance(value, str) and not re.match(r"\d{4}-\d{2}", value.strip()):
        return None  # Pandas reads "now", "12" and much else as a time
    try:
        stamp = pd.Timestamp(value)
        return stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    except (ValueError, TypeError, OverflowError):
        return None


def _read_time(text: str) -> str:
    """Return a time as ISO 8601 in UTC; empty if it is none."""
    stamp = _parse_time(text.removesuffix(" UTC"))
    return "" if stamp is None else f"{stamp.tz_localize(None).isoformat()}Z"


def _write_time(value: Any) -> str:
    stamp = _parse_time(value)
    if stamp is None:
        return str(value)
    text = stamp.tz_localize(None).isoformat(sep=" ")
    return text.removesuffix(":00") if text.count(":") == 2 else text


def _read_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return MISSING


def _write_list(value: Any) -> str:
    if not isinstance(value, list):
        return _write_plain(value)
    if value and all(isinstance(v, str) and _LIST_ITEM.fullmatch(v) for v in value):
        return ", ".join(value)
    if value and all(isinstance(v, int | float) and not isinstance(v, bool) for v in value):
        return ", ".join(repr(v) for v in value)
    return json.dumps(value, ensure_ascii=False)


def _write_plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
