from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.jobs import build_job
from workbench.records import JobRecord
from workbench.states import JobState
from workbench.store import JobPage, JobQuery, Store
from workbench.store.fields import FIELDS
from workbench.store.query import SORTS

_words = st.sampled_from(["", "a", "B", "b", "ä", "Ä", "ß", "SS", "%", "_", "\\", "a b", "a\nb", "Z", "日"])
_keys = st.sampled_from(["a", "B", "ä", "\0", ""])
_times = st.sampled_from(["2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.001Z", "2025-12-31T23:59:59.999Z"])
_numbers = st.sampled_from([-1.5, 0.0, 1e-9, 2.0, 1e300]) | st.floats(allow_nan=False, allow_infinity=False)
_fields = st.fixed_dictionaries(
    {
        "name": _words,
        "kind": st.sampled_from(["backtest", "sweep"]),
        "state": st.sampled_from(JobState),
        "owner": _keys,
        "created_at": _times,
        "started_at": st.none() | _times,
        "parent_id": st.none() | _keys,
        "lineage": _keys,
        "dataset": _keys,
        "rows": st.integers(-(2**63), 2**63 - 1),
        "elapsed_secs": _numbers,
        "headline": st.dictionaries(st.sampled_from(["sharpe", "trades", "sort"]), _numbers),
    }
)
_queries = st.builds(
    JobQuery,
    states=st.lists(st.sampled_from(JobState), max_size=4).map(tuple),
    kind=st.sampled_from(["", "backtest"]),
    owner=st.just("") | _keys,
    parent_id=st.just("") | _keys,
    lineage=st.just("") | _keys,
    dataset=st.just("") | _keys,
    is_top_level=st.booleans(),
    text=st.just("") | _words | st.sampled_from(["JOB-1", "A\nB", "-"]),
    sort=st.tuples(st.sampled_from(["", "-"]), st.sampled_from(SORTS)).map("".join),
    limit=st.integers(1, 6),
    offset=st.integers(0, 4),
)


def _fold(text: str) -> str:
    return text.replace("\0", "\ufffd").casefold().replace("\n", " ")


def _is_wanted(job: JobRecord, query: JobQuery) -> bool:
    exact = ("kind", "owner", "parent_id", "lineage", "dataset")
    return (
        (not query.states or job.state in query.states)
        and all(
            not (value := getattr(query, name)) or getattr(job, name) == value.replace("\0", "\ufffd")
            for name in exact
        )
        and not (query.is_top_level and job.parent_id is not None)
        and (_fold(query.text) in _fold(job.id) or _fold(query.text) in _fold(job.name))
    )


def _list(jobs: list[JobRecord], query: JobQuery) -> JobPage:
    """Filter and sort as the query says, in Python."""
    name = query.sort.removeprefix("-")

    def find_value(job: JobRecord) -> Any:
        return getattr(job, name) if name in FIELDS else job.headline.get(name)

    wanted = [job for job in jobs if _is_wanted(job, query)]
    known = [job for job in wanted if find_value(job) is not None]
    unknown = [job for job in wanted if find_value(job) is None]
    is_descending = query.sort.startswith("-")
    known.sort(key=lambda job: (find_value(job), job.id), reverse=is_descending)
    unknown.sort(key=lambda job: job.id, reverse=is_descending)
    page = [*known, *unknown][query.offset : query.offset + query.limit]
    return JobPage(items=[msgspec.structs.replace(job, spec={}) for job in page], total=len(wanted))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_fields, max_size=8), st.lists(_queries, min_size=1, max_size=5))
def test_list_any_query_is_as_in_python(
    store: Store, rows: list[dict[str, Any]], queries: list[JobQuery]
) -> None:
    store.clear_index()
    ids = ["job-1", "Job-2", "job-10", "jOB-é", "z", "A", "_", "%"]
    jobs = [
        store.add_job(build_job(job_id, spec={"long": 1}, **row))
        for job_id, row in zip(ids, rows, strict=False)
    ]

    for query in queries:
        assert store.list_jobs(query) == _list(jobs, query)


def test_list_sorted_by_every_name_is_as_in_python(store: Store) -> None:
    headlines: list[dict[str, float]] = [
        {"sharpe": 2.0},
        {},
        {"sharpe": -1.0, "trades": 3.0},
        {"sharpe": 10.0},
    ]
    times = ["2026-01-03", None, "2026-01-01", "2026-01-02"]
    for number, (headline, time) in enumerate(zip(headlines, times, strict=True)):
        store.add_job(build_job(f"j{number}", headline=headline, started_at=time, name="bAcD"[number]))
    jobs = [store.get_job(job_id) for job_id in store.find_ids()]

    for name in SORTS:
        for sort in (name, f"-{name}"):
            query = JobQuery(sort=sort)
            assert store.list_jobs(query) == _list(jobs, query), sort


def test_list_of_no_jobs_is_empty_whatever_the_sort(store: Store) -> None:
    for sort in SORTS:
        assert store.list_jobs(JobQuery(sort=f"-{sort}")) == JobPage(items=[], total=0)


def test_list_beyond_the_last_page_still_has_the_total(store: Store) -> None:
    store.add_job(build_job("a"))

    assert store.list_jobs(JobQuery(offset=5)) == JobPage(items=[], total=1)


def test_text_is_found_whatever_the_case_and_literally(store: Store) -> None:
    names = {"a": "Große Æpfel", "b": "50% off_\\", "c": "two\nlines"}
    for job_id, name in names.items():
        store.add_job(build_job(f"ID-{job_id}", name=name))

    def find(text: str) -> list[str]:
        return [job.id for job in store.list_jobs(JobQuery(text=text, sort="id")).items]

    assert find("GROSSE æPF") == ["ID-a"]
    assert find("%") == find("_") == find("\\") == ["ID-b"]
    assert find("TWO LINES") == ["ID-c"]
    assert find("id-") == ["ID-a", "ID-b", "ID-c"]
    assert find("ctwo") == []
