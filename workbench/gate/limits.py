"""What the gate lets through: limits that are checked before an order goes out."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from workbench.errors import ConfigError

__all__ = ["ANY_INSTRUMENT", "BreachAction", "Limits", "parse_limits"]

ANY_INSTRUMENT = "*"
_MINUTES_A_DAY = 1_440


class BreachAction(StrEnum):
    """What happens when a loss limit is reached, besides that no new risk is taken."""

    DENY = "DENY"
    CANCEL = "CANCEL"
    FLATTEN = "FLATTEN"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """
    The limits of a gate; what is ``None`` or missing is not limited.

    Attributes
    ----------
    max_position : dict[str, Decimal]
        The most units held, long or short, by instrument id; ``*`` for every other instrument. Pending orders count.
    max_exposure : Decimal, optional
        The most notional held and pending, long and short added up, in the reporting currency.
    max_daily_loss : Decimal, optional
        The most that equity may lose since the day began, in the reporting currency.
    max_drawdown : Decimal, optional
        The largest fraction that equity may lose since its peak, above 0 and at most 1.
    max_orders_per_sec : int, optional
        The most orders and modifications within one second of the engine's clock.
    day_start_mins : int
        When a day begins: minutes after midnight in `day_zone`.
    day_zone : ZoneInfo
        The time zone of the day.
    on_breach : BreachAction
        What happens when a loss limit is reached.

    """

    max_position: dict[str, Decimal] = {}
    max_exposure: Decimal | None = None
    max_daily_loss: Decimal | None = None
    max_drawdown: Decimal | None = None
    max_orders_per_sec: int | None = None
    day_start_mins: int = 0
    day_zone: ZoneInfo = ZoneInfo("UTC")
    on_breach: BreachAction = BreachAction.FLATTEN

    def find_max_position(self, instrument_id: str) -> Decimal | None:
        """Return the most units of an instrument, or ``None`` if they are not limited."""
        return self.max_position.get(instrument_id, self.max_position.get(ANY_INSTRUMENT))

    @property
    def needs_equity(self) -> bool:
        """Whether a loss is limited."""
        return self.max_daily_loss is not None or self.max_drawdown is not None


def parse_limits(
    *,
    max_position: dict[str, str] | None = None,
    max_exposure: str | None = None,
    max_daily_loss: str | None = None,
    max_drawdown: str | None = None,
    max_orders_per_sec: int | None = None,
    day_start: str = "00:00",
    day_zone: str = "UTC",
    on_breach: str = "FLATTEN",
) -> Limits:
    """
    Return limits from how they are written in a configuration: amounts as decimal text.

    Raises
    ------
    ConfigError
        If one of them makes no sense; `field` names it.

    """
    positions = {
        instrument_id: _parse_amount(f"max_position.{instrument_id}", text)
        for instrument_id, text in (max_position or {}).items()
    }
    drawdown = None if max_drawdown is None else _parse_amount("max_drawdown", max_drawdown)
    if drawdown is not None and not 0 < drawdown <= 1:
        raise ConfigError(
            f"max_drawdown is {max_drawdown}",
            expected="a fraction of the peak, above 0 and at most 1",
            advice="5 % is 0.05",
            field="max_drawdown",
        )
    if max_orders_per_sec is not None and max_orders_per_sec < 1:
        raise ConfigError(
            f"max_orders_per_sec is {max_orders_per_sec}", expected="at least 1", field="max_orders_per_sec"
        )
    try:
        action = BreachAction(on_breach)
    except ValueError:
        known = ", ".join(BreachAction)
        raise ConfigError(f"on_breach is {on_breach!r}", expected=known, field="on_breach") from None
    return Limits(
        max_position=positions,
        max_exposure=None if max_exposure is None else _parse_amount("max_exposure", max_exposure),
        max_daily_loss=None if max_daily_loss is None else _parse_amount("max_daily_loss", max_daily_loss),
        max_drawdown=drawdown,
        max_orders_per_sec=max_orders_per_sec,
        day_start_mins=_parse_time(day_start),
        day_zone=_parse_zone(day_zone),
        on_breach=action,
    )


def _parse_amount(field: str, text: object) -> Decimal:
    try:
        amount = Decimal(str(text)) if isinstance(text, str | int) and not isinstance(text, bool) else None
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite() or amount < 0:
        raise ConfigError(
            f"{field} is {text!r}",
            expected='a decimal number in text, 0 or more, such as "5000"',
            field=field,
        )
    return amount


def _parse_time(text: str) -> int:
    hours, _, mins = text.partition(":")
    if hours.isdecimal() and mins.isdecimal() and len(hours) == len(mins) == 2 and int(mins) < 60:
        found = int(hours) * 60 + int(mins)
        if found < _MINUTES_A_DAY:
            return found
    raise ConfigError(f"day_start is {text!r}", expected="a time of day such as 17:00", field="day_start")


def _parse_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"day_zone is {name!r}", expected="a time zone such as America/New_York", field="day_zone"
        ) from None
