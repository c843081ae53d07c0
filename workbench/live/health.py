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
) -> dict[str, str]:
    """
    Return what is wrong, in words for people, by a key that stays the same while it lasts.

    Whether a client says that it is connected proves little: the age of the data is the true signal.

    Parameters
    ----------
    policy : HealthPolicy
        The thresholds.
    facts : Mapping
        What the main loop told last: ``data``, ``clients``, ``queues`` and ``round_trip``.
    resources : Mapping
        As `workbench.live.resources.measure_resources` returns them.
    strategies : Sequence[StrategyRow]
        The strategies; one with an error was stopped.
    database_trouble : str
        What is wrong with the node's database, or nothing.

    """
    problems = dict(_check_data(policy, facts.get("data", [])))
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
    median_ms = facts.get("round_trip", {}).get("median_ms")
    if median_ms is not None and median_ms > policy.max_round_trip_ms:
        problems["round trip"] = f"the venue takes {median_ms:,.0f} ms to answer an order"
    problems.update(_check_resources(policy, resources))
    return problems


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
