"""What the day has brought: equity now less equity when the day began, limits or no limits."""

from __future__ import annotations

from decimal import Decimal, localcontext
from pathlib import Path

import msgspec

from workbench.files import write_atomically
from workbench.gate.limits import Limits
from workbench.gate.losses import Losses, observe
from workbench.gate.worth import EXACT

__all__ = ["Today"]

_SAVE_NS = 5_000_000_000


class _Memory(msgspec.Struct, frozen=True, kw_only=True):
    currency: str
    losses: Losses


class Today:
    """
    Remembers with what equity the day began, over restarts; in the main loop.

    A day begins with the last equity that was known before it, as the gate's limit of a day's loss counts it. The very
    first begins with the first equity.

    Parameters
    ----------
    path : Path
        Where it is kept.
    limits : Limits
        When a day begins.
    currency : str
        What equity is counted in; what was remembered in another is forgotten.
    known : Losses
        What the gate remembers; for where nothing was kept yet.

    Attributes
    ----------
    pnl : Decimal, optional
        What equity has changed by since the day began; ``None`` where equity is not known.
    day : str
        The day, ISO 8601.
    day_equity : Decimal, optional
        With what it began.

    """

    def __init__(self, path: Path, limits: Limits, currency: str, *, known: Losses | None = None) -> None:
        self._path = path
        # Whatever is limited: what is lost is the gate's matter, and it may have been told to forget it.
        self._limits = msgspec.structs.replace(limits, max_daily_loss=None, max_drawdown=None)
        self._currency = currency
        self._losses = self._load() or msgspec.structs.replace(known or Losses(), breach=None)
        self._written = Losses()
        self._written_ns = 0
        self.pnl: Decimal | None = None

    @property
    def day(self) -> str:
        """The day, ISO 8601."""
        return self._losses.day

    @property
    def day_equity(self) -> Decimal | None:
        """The equity with which the day began."""
        return self._losses.day_equity

    def observe(self, now_ns: int, equity: Decimal | None) -> None:
        """
        Take the equity of this moment.

        Raises
        ------
        OSError
            If what the day began with cannot be kept.

        """
        with localcontext(EXACT):
            losses = self._losses = observe(self._limits, self._losses, now_ns, equity)
            known = losses.day_equity
            self.pnl = None if equity is None or known is None else equity - known
        is_new = (losses.day, losses.day_equity) != (self._written.day, self._written.day_equity)
        if is_new or (losses != self._written and now_ns - self._written_ns >= _SAVE_NS):
            self._written_ns = now_ns
            content = msgspec.json.encode(_Memory(currency=self._currency, losses=losses))
            write_atomically(self._path, content, is_durable=is_new)
            self._written = losses

    def _load(self) -> Losses | None:
        try:
            memory = msgspec.json.decode(self._path.read_bytes(), type=_Memory)
        except (OSError, msgspec.MsgspecError):  # It begins anew: no number is better than a wrong one
            return None
        return memory.losses if memory.currency == self._currency else None
