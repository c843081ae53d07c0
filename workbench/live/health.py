"""What is wrong with an engine that runs: measurements against thresholds, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workbench.engine_records import StrategyRow
from workbench.live.config import HealthPolicy

__all__ = ["find_problems"]


def find_problems(
    policy: HealthPolicy,
    *,
    facts: Mapping[str, Any],
    resources: Mapping[str, Any],
    strategies: Sequence[StrategyRow] = (),
    database_trouble: str = "",
    errors: int = 0,
    is_live: bool = False,
) -> dict[str, str]:
    """
    Return what is wrong, in words for people, by a key that stays the same while it lasts.

    Whether a client says that it is connected proves little: the age of the data is the true signal.

    Parameters
    ----------
    policy : HealthPolicy
        The thresholds.
    facts : Mapping
        What the main loop told last: ``trader``, ``data``, ``clients``, ``queues``, ``round_trip`` and ``clock``.
    resources : Mapping
        As `workbench.live.resources.ResourceMeter` measures them.
    strategies : Sequence[StrategyRow]
        The strategies; one with an error was stopped.
    database_trouble : str
        What is wrong with the node's database, or nothing.
    errors : int
        How many errors nautilus logged of late.
    is_live : bool
        Whether orders go to a venue: there a clock that nothing keeps right is a problem, too.

    """
    problems = dict(_check_data(policy, facts.get("data", [])))
    trader = facts.get("trader", "RUNNING")
    if trader != "RUNNING":
        problems["trader"] = f"nautilus's trader is {trader}, and not RUNNING"
    for client in facts.get("clients", []):
        if not client["is_connected"]:
            key = f"client {client['client_id']} {client['kind']}"
            problems[key] = f"the {client['kind']} client {client['client_id']} is not connected"
    if database_trouble:
        problems["database"] = f"its database does not answer: {database_trouble}"
    for row in strategies:
        if row.error:
            reason = row.error.strip().splitlines()[-1]
            problems[f"strategy {row.strategy_id}"] = f"{row.strategy_id} was stopped by its error: {reason}"
    for name, count in facts.get("queues", {}).items():
        if count > policy.max_queue:
            problems[f"queue {name}"] = f"{count:,} messages wait in the queue of {name}"
    problems.update(_check_trips(policy, facts.get("round_trip", {})))
    if errors > policy.max_errors:
        problems["errors"] = f"{errors:,} errors in its log within 5 minutes"
    problems.update(_check_clock(policy, facts.get("clock", {}), is_live=is_live))
    problems.update(_check_resources(policy, resources))
    return problems


def _check_trips(policy: HealthPolicy, trip: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    median_ms = trip.get("median_ms")
    if median_ms is not None and median_ms > policy.max_round_trip_ms:
        yield "round trip", f"the venue takes {median_ms:,.0f} ms to answer an order"
    # A venue that answers nothing any more has no round trips at all.
    waiting_ms = trip.get("waiting_ms")
    if waiting_ms is not None and waiting_ms > policy.max_round_trip_ms:
        yield "no answer", f"the venue has not answered an order for {waiting_ms / 1e3:,.1f} s"


def _check_clock(
    policy: HealthPolicy, clock: Mapping[str, Any], *, is_live: bool
) -> Iterator[tuple[str, str]]:
    offset = clock.get("offset_ms")
    if offset is not None and abs(offset) > policy.max_clock_offset_ms:
        if clock["source"] == "kernel":
            yield "clock", f"the kernel says that its clock is {offset:,.0f} ms off"
        elif offset < 0:
            yield "clock", f"the clock is at least {-offset:,.0f} ms behind, by the stamps of market data"
        else:
            yield "clock", f"market data come {offset:,.0f} ms late: the clock is ahead, or the feed is slow"
    elif is_live and clock and not (clock.get("kernel") or {}).get("is_synchronised"):
        yield "clock", "nothing keeps the clock of this machine right: the kernel's is not synchronised"


def _check_data(policy: HealthPolicy, data: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    most = policy.max_quote_age_secs
    if most is None:
        return
    for stream in data:
        age = stream["age_secs"]
        if age > most + stream["interval_secs"]:
            what = f"is {age:,.0f} s old" if stream["has_data"] else f"has not come for {age:,.0f} s"
            yield f"data {stream['name']}", f"{stream['name']} {what}"


def _check_resources(policy: HealthPolicy, resources: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    free = resources["disk_free_bytes"]
    if free < policy.min_disk_free_bytes:
        yield "disk", f"only {free / 1e6:,.0f} MB are left on its disk"
    most, used = policy.max_memory_bytes, resources["memory_bytes"]
    if most is not None and used > most:
        yield "memory", f"it takes {used / 1e6:,.0f} MB of memory, more than {most / 1e6:,.0f}"
    cpu = resources.get("cpu_percent", 0.0)
    if policy.max_cpu_percent is not None and cpu > policy.max_cpu_percent:
        yield "cpu", f"it takes {cpu:,.0f} % of a core, more than {policy.max_cpu_percent:,.0f}"
    threads = resources.get("threads", 0)
    if threads > policy.max_threads:
        yield "threads", f"it has {threads:,} threads, more than {policy.max_threads:,}"
    files, limit = resources.get("descriptors", 0), resources.get("descriptors_limit", 0)
    if limit > 0 and files > limit * policy.max_descriptors_share:
        yield "descriptors", f"it has {files:,} of {limit:,} file descriptors in use"
