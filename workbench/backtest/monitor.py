"""The monitor: an actor on a timer in simulated time that reports, samples, pauses and cancels."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal, localcontext

import msgspec
from nautilus_trader.common.actor import Actor
from nautilus_trader.common.component import set_backtest_force_stop
from nautilus_trader.common.config import ActorConfig
from nautilus_trader.core.datetime import unix_nanos_to_iso8601
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Currency

from workbench.backtest.inspection import build_inspection
from workbench.backtest.marks import Books, Marks
from workbench.gate.valuer import Valuation
from workbench.gate.worth import EXACT, Touch, measure_margin, measure_worth
from workbench.jobs.control import Control
from workbench.records import Progress
from workbench.states import JobState

__all__ = ["FillSample", "Monitor", "Sample", "choose_interval_ns"]

_SECOND = 1_000_000_000
# Each divides a day, so that every midnight (UTC) inside the run is a tick.
_INTERVALS_SECS = (1, 5, 15, 60, 300, 900, 1_800, 3_600, 14_400, 86_400)
_MAX_TICKS = 2_000
_REPORT_SECS = 0.1


def choose_interval_ns(start_ns: int, end_ns: int) -> int:
    """
    Return the interval of the monitor's timer in nanoseconds: the shortest that makes at most 2,000 ticks.

    A run of more than 2,000 days has one tick a day.
    """
    span_secs = max(end_ns - start_ns, 0) / _SECOND
    for secs in _INTERVALS_SECS:
        if span_secs / secs <= _MAX_TICKS:
            return secs * _SECOND
    return _INTERVALS_SECS[-1] * _SECOND


class Sample(msgspec.Struct, frozen=True):
    """
    The accounts at one moment, in the reporting currency.

    `ts_ns` is UNIX nanoseconds UTC; the sample holds the state after all data stamped up to then. Amounts
    are ``None`` when a price or a rate was missing.
    """

    ts_ns: int
    equity: Decimal | None
    balance: Decimal | None
    gross_exposure: Decimal | None
    net_exposure: Decimal | None
    open_positions: int
    open_orders: int
    events: int


class FillSample(msgspec.Struct, frozen=True):
    """A fill, the venue's book right then, and the rates into the reporting currency."""

    fill: OrderFilled
    touch: Touch
    rate: Decimal | None
    commission_rate: Decimal | None


class Monitor(Actor):
    """
    Watches a run from inside.

    Parameters
    ----------
    control : Control
        Where progress goes and where pause and cancel come from.
    books : Books
        The order books of the venues.
    marks : Marks
        Prices and rates.
    currency : Currency
        The reporting currency.
    count_events : Callable[[], int]
        Returns the data points that the engine has processed.
    total_events : int
        The data points of the whole run.
    start_ns, end_ns : int
        The range of the data, UNIX nanoseconds UTC.
    has_timer : bool
        Whether a timer of nautilus's clock may be used. At every timer the engine settles its venues: a
        command that a latency model holds back, or a simulation module, would then be processed earlier than
        without the monitor. In such a run it is woken by the data instead.

    """

    def __init__(
        self,
        *,
        control: Control,
        books: Books,
        marks: Marks,
        currency: Currency,
        count_events: Callable[[], int],
        total_events: int,
        start_ns: int,
        end_ns: int,
        has_timer: bool = True,
    ) -> None:
        super().__init__(ActorConfig(component_id="WORKBENCH-MONITOR", log_events=False, log_commands=False))
        self._control = control
        self._books = books
        self._marks = marks
        self._currency = currency
        self._count_events = count_events
        self._total_events = max(total_events, 1)
        self._start_ns = start_ns
        self._end_ns = end_ns
        self._has_timer = has_timer
        self._interval_ns = self._due_ns = 0
        self._began = self._reported = time.monotonic()
        self._paused_secs = 0.0
        self.samples: list[Sample] = []
        self.fills: list[FillSample] = []
        self.was_cancelled = False
        self.on_sample: Callable[[], object] | None = None
        self._has_value = False
        self._valued_ns: int | None = None

    def on_start(self) -> None:
        """Take the first sample, begin to tick and listen for fills."""
        self._began = time.monotonic()
        now = self.clock.timestamp_ns()
        self.take_sample(now)
        # A configured start may lie before the first data: its midnights count as well.
        start = min(now, self._start_ns)
        self._interval_ns = interval = choose_interval_ns(start, self._end_ns)
        self._due_ns = (start // interval + 1) * interval
        if not self._has_timer:
            self._books.listen(self._on_data)
        elif self._due_ns <= self._end_ns:
            self.clock.set_timer_ns(
                name="workbench-monitor",
                interval_ns=interval,
                start_time_ns=self._due_ns - interval,
                stop_time_ns=self._end_ns,
                callback=lambda event: self._tick(event.ts_event),
            )
        self.msgbus.subscribe(topic="events.fills.*", handler=self._on_fill)

    def on_stop(self) -> None:
        """Do nothing: nautilus warns where this is missing."""

    def build_warnings(self) -> list[str]:
        """Return what a reader of the results must know, one line each."""
        warnings = []
        below = [s for s in self.samples if s.equity is not None and s.equity < 0]
        if below:
            lowest = min(s.equity for s in below if s.equity is not None)
            warnings.append(
                f"the equity fell below zero at {unix_nanos_to_iso8601(below[0].ts_ns)} and was {lowest:f} "
                f"{self._currency} at its lowest: nautilus liquidates nobody, so results after that are not "
                "those of an account that could exist"
            )
        if self._valued_ns is not None:
            warnings.append(
                "nothing said at the start what the balances are worth in "
                f"{self._currency}: they are valued at the first price, of {unix_nanos_to_iso8601(self._valued_ns)}"
            )
        missing = [pair for pair, source in self._marks.sources.items() if source == "missing"]
        if missing:
            warnings.append(
                f"the rate {', '.join(missing)} was missing at times: what needs it is given as no number"
            )
        return warnings

    def take_sample(self, ts_ns: int) -> None:
        """Append the state of the accounts, or put it in the place of an earlier one of the same time."""
        sample = self._measure(ts_ns)
        if sample.equity is not None and not self._has_value:
            self._has_value = True
            self._value_start(sample)
        if self.samples and self.samples[-1].ts_ns >= ts_ns:
            sample = msgspec.structs.replace(sample, ts_ns=self.samples[-1].ts_ns)
            self.samples[-1] = sample
        else:
            self.samples.append(sample)

    def _value_start(self, sample: Sample) -> None:
        """
        Value the samples before the first price at the first price, if nothing has been traded.

        An account of several currencies begins before anything says what they are worth.
        """
        if not self.samples or self.fills:
            return
        self._valued_ns = sample.ts_ns
        self._marks.sources.clear()
        self.samples = [
            msgspec.structs.replace(sample, ts_ns=s.ts_ns, events=s.events, open_orders=s.open_orders)
            for s in self.samples
        ]
        self._measure(sample.ts_ns)  # Puts the sources of the rates down again

    def _on_data(self, ts_ns: int) -> None:
        """Tick for every moment before `ts_ns` that is due: all data up to it have been processed."""
        while self._due_ns < ts_ns:
            self._tick(self._due_ns)
            self._due_ns += self._interval_ns

    @property
    def currency(self) -> Currency:
        """The reporting currency."""
        return self._currency

    def measure(self, *, has_margin: bool = False) -> Valuation:
        """Return what the accounts are worth now, for the risk gate."""
        with localcontext(EXACT):
            worth = measure_worth(self.cache, self._marks, self._currency)
            margin = measure_margin(self.cache, self._marks, self._currency) if has_margin else None
        missing = [self.explain(one) for one in worth.unpriced]
        missing += [f"no rate {pair}" for pair in worth.unrated]
        return Valuation(equity=worth.equity, margin=margin, missing=", ".join(missing))

    def find_touch(self, instrument_id: InstrumentId) -> Touch:
        """Return the best bid and ask of the venue's book, for the risk gate."""
        return self._books.find_touch(instrument_id)

    def find_rate(self, source: Currency) -> Decimal | None:
        """Return what a unit of `source` is worth in the reporting currency, for the risk gate."""
        return self._marks.find_rate(source, self._currency)

    def explain(self, instrument_id: InstrumentId) -> str:
        """Return why there is no price: in a backtest, because none has come yet."""
        return f"no price of {instrument_id}"

    def limit_age(self, secs: float | None) -> None:
        """Do nothing: the book of a simulated venue is that of its moment."""

    def _tick(self, ts_ns: int) -> None:
        self.take_sample(ts_ns)
        if self.on_sample is not None:
            self.on_sample()
        now = time.monotonic()
        if now - self._reported >= _REPORT_SECS:
            self._reported = now
            self._report(JobState.RUNNING)
        if self._control.is_paused:
            self._control.inspect(build_inspection(self.cache, self._marks, ts_ns))
            self._report(JobState.PAUSED)
            self._control.wait_while_paused()
            self._paused_secs += time.monotonic() - now
            self._report(JobState.RUNNING)
        if self._control.is_cancelled and not self.was_cancelled:
            self.was_cancelled = True
            set_backtest_force_stop(True)

    def report_stage(self, stage: str) -> None:
        """Report that the run has come to another stage, with all that the last sample says."""
        self._report(JobState.RUNNING, stage)

    def _report(self, state: JobState, stage: str = "run") -> None:
        sample = self.samples[-1]
        events = sample.events
        elapsed = max(time.monotonic() - self._began - self._paused_secs, 1e-9)
        rate = events / elapsed
        left = self._total_events - events
        self._control.report(
            Progress(
                state=state,
                stage=stage,
                fraction=min(events / self._total_events, 1.0),
                simulated_ts_ns=sample.ts_ns,
                events=events,
                events_per_sec=rate,
                eta_secs=left / rate if rate > 0 and left >= 0 else None,
                equity=None if sample.equity is None else f"{sample.equity:f}",
                currency=self._currency.code,
                open_positions=sample.open_positions,
                open_orders=sample.open_orders,
            )
        )

    def _on_fill(self, fill: OrderFilled) -> None:
        # Not `fill.currency`: of an inverse contract that is the quote currency, in which nothing is paid.
        settlement = self.cache.instrument(fill.instrument_id).get_settlement_currency()
        with localcontext(EXACT):
            self.fills.append(
                FillSample(
                    fill=fill,
                    touch=self._books.find_touch(fill.instrument_id),
                    rate=self._marks.find_rate(settlement, self._currency),
                    commission_rate=None
                    if fill.commission is None
                    else self._marks.find_rate(fill.commission.currency, self._currency),
                )
            )

    def _measure(self, ts_ns: int) -> Sample:
        with localcontext(EXACT):
            worth = measure_worth(self.cache, self._marks, self._currency)
        return Sample(
            ts_ns=ts_ns,
            equity=worth.equity,
            balance=worth.balance,
            gross_exposure=worth.gross_exposure,
            net_exposure=worth.net_exposure,
            open_positions=worth.open_positions,
            open_orders=self.cache.orders_open_count(),
            events=self._count_events(),
        )
