"""What the gate lets through: limits that are checked before an order goes out."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from workbench.errors import ConfigError

__all__ = ["ANY_INSTRUMENT", "DAY_BOUNDARIES", "MAX_MARK_AGE_SECS", "BreachAction", "Limits", "parse_limits"]

ANY_INSTRUMENT = "*"
# Names for when a day begins: the time of day, and its zone.
DAY_BOUNDARIES: Mapping[str, tuple[str, str]] = {
    "UTC": ("00:00", "UTC"),
    "NEW_YORK_CLOSE": ("17:00", "America/New_York"),
}
# Bars of a minute come in time, and a quiet market is not taken for a dead feed; but of one that died, no more than
# this passes unseen. Who holds something while its market is closed has no price that is younger, and takes no new risk
# until it opens: for such an engine it is to be longer, or ``None``.
MAX_MARK_AGE_SECS = 300.0
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
    max_net_exposure : Decimal, optional
        The most by which longs may exceed shorts in notional, or shorts longs, in the reporting currency. Pending
        orders count, each side by itself.
    max_margin : Decimal, optional
        The largest fraction of equity that may be used as margin, above 0 and at most 1. Pending orders count.
    max_daily_loss : Decimal, optional
        The most that equity may lose since the day began, in the reporting currency.
    max_drawdown : Decimal, optional
        The largest fraction that equity may lose since its peak, above 0 and at most 1.
    max_orders_per_sec : int, optional
        The most orders and modifications within one second of the engine's clock.
    max_mark_age_secs : float, optional
        How old the price of something held may be. An older one is none: what depends on it takes no new risk, and
        nothing is closed for that. ``None``: of any age. See `MAX_MARK_AGE_SECS`.
    day_start_mins : int
        When a day begins: minutes after midnight in `day_zone`.
    day_zone : ZoneInfo
        The time zone of the day.
    on_breach : BreachAction
        What happens when a loss limit is reached.

    """

    max_position: dict[str, Decimal] = {}
    max_exposure: Decimal | None = None
    max_net_exposure: Decimal | None = None
    max_margin: Decimal | None = None
    max_daily_loss: Decimal | None = None
    max_drawdown: Decimal | None = None
    max_orders_per_sec: int | None = None
    max_mark_age_secs: float | None = MAX_MARK_AGE_SECS
    day_start_mins: int = 0
    day_zone: ZoneInfo = ZoneInfo("UTC")
    on_breach: BreachAction = BreachAction.FLATTEN

    def find_max_position(self, instrument_id: str) -> Decimal | None:
        """Return the most units of an instrument, or ``None`` if they are not limited."""
        return self.max_position.get(instrument_id, self.max_position.get(ANY_INSTRUMENT))

    @property
    def needs_equity(self) -> bool:
        """Whether something is limited that depends on equity: a loss, or the margin."""
        return self.max_daily_loss is not None or self.max_drawdown is not None or self.max_margin is not None

    @property
    def needs_worth(self) -> bool:
        """Whether something is limited that depends on the worth of orders and positions."""
        return (
            self.max_exposure is not None or self.max_net_exposure is not None or self.max_margin is not None
        )


def parse_limits(
    *,
    max_position: dict[str, str] | None = None,
    max_exposure: str | None = None,
    max_net_exposure: str | None = None,
    max_margin: str | None = None,
    max_daily_loss: str | None = None,
    max_drawdown: str | None = None,
    max_orders_per_sec: int | None = None,
    max_mark_age_secs: float | None = MAX_MARK_AGE_SECS,
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
        instrument_id: _parse_decimal(f"max_position.{instrument_id}", text)
        for instrument_id, text in (max_position or {}).items()
    }
    if max_orders_per_sec is not None and max_orders_per_sec < 1:
        raise ConfigError(
            f"max_orders_per_sec is {max_orders_per_sec}", expected="at least 1", field="max_orders_per_sec"
        )
    if max_mark_age_secs is not None and not 0 < max_mark_age_secs < float("inf"):
        raise ConfigError(
            f"max_mark_age_secs is {max_mark_age_secs}", expected="more than 0", field="max_mark_age_secs"
        )
    day_start_mins, zone = _parse_day(day_start, day_zone)
    try:
        action = BreachAction(on_breach)
    except ValueError:
        known = ", ".join(BreachAction)
        raise ConfigError(f"on_breach is {on_breach!r}", expected=known, field="on_breach") from None
    return Limits(
        max_position=positions,
        max_exposure=_parse_amount("max_exposure", max_exposure),
        max_net_exposure=_parse_amount("max_net_exposure", max_net_exposure),
        max_margin=_parse_fraction("max_margin", max_margin, "50 % of equity is 0.5"),
        max_daily_loss=_parse_amount("max_daily_loss", max_daily_loss),
        max_drawdown=_parse_fraction("max_drawdown", max_drawdown, "5 % of the peak is 0.05"),
        max_orders_per_sec=max_orders_per_sec,
        max_mark_age_secs=max_mark_age_secs,
        day_start_mins=day_start_mins,
        day_zone=zone,
        on_breach=action,
    )


def _parse_day(start: str, zone: str) -> tuple[int, ZoneInfo]:
    if start in DAY_BOUNDARIES:
        if zone != "UTC":
            raise ConfigError(
                f"day_start is {start}, which has a time zone of its own, and day_zone is {zone!r}",
                expected="one or the other",
                field="day_zone",
            )
        start, zone = DAY_BOUNDARIES[start]
    return _parse_time(start), _parse_zone(zone)


def _parse_fraction(field: str, text: str | None, advice: str) -> Decimal | None:
    fraction = _parse_amount(field, text)
    if fraction is not None and not 0 < fraction <= 1:
        raise ConfigError(
            f"{field} is {text}", expected="a fraction above 0 and at most 1", advice=advice, field=field
        )
    return fraction


def _parse_amount(field: str, text: object) -> Decimal | None:
    return None if text is None else _parse_decimal(field, text)


def _parse_decimal(field: str, text: object) -> Decimal:
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
    raise ConfigError(
        f"day_start is {text!r}",
        expected=f"a time of day such as 17:00, or {' or '.join(DAY_BOUNDARIES)}",
        field="day_start",
    )


def _parse_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"day_zone is {name!r}", expected="a time zone such as America/New_York", field="day_zone"
        ) from None
