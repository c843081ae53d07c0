"""What the messages say: whatever their order, repeats and gaps, the book has what the server has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.ui.walking import build_job
from workbench.records import JobRecord, Progress
from workbench.states import JobState, JobTrigger, advance
from workbench.ui.job_book import JobBook
from workbench.ui.job_list import GROUPS, ORDERS, JobList, JobWish


def tell_job(record: JobRecord) -> dict[str, Any]:
    return {"type": "job", "seq": record.seq, "ts": "", "job": msgspec.to_builtins(record)}


def tell_progress(job_id: str, **facts: Any) -> dict[str, Any]:
    return {"type": "progress", "job_id": job_id, "progress": msgspec.to_builtins(Progress(**facts))}


def tell_snapshot(*records: JobRecord) -> dict[str, Any]:
    return {"type": "snapshot", "seq": 0, "jobs": [msgspec.to_builtins(r) for r in records]}


@dataclass
class History:
    """A server: its records, and the messages about each change of them."""

    jobs: dict[str, JobRecord] = field(default_factory=dict)
    told: list[dict[str, Any]] = field(default_factory=list)

    def keep(self, record: JobRecord) -> None:
        record = msgspec.structs.replace(record, seq=len(self.told) + 1)
        self.jobs[record.id] = record
        self.told.append(tell_job(record))

    @property
    def unfinished(self) -> list[JobRecord]:
        return [r for r in self.jobs.values() if not r.state.is_finished]

    def list_jobs(self, wish: JobWish) -> tuple[list[JobRecord], int]:
        """As the store does: nulls last, equal ones by id, descending."""
        name = wish.sort.removeprefix("-")

        def key(record: JobRecord) -> tuple[bool, Any, str]:
            value = record.created_at if name == "created_at" else record.headline.get(name)
            return value is not None, value if value is not None else 0, record.id

        states = GROUPS[wish.group]
        found = [
            r
            for r in self.jobs.values()
            if (not states or r.state in states)
            and (wish.has_trials or r.parent_id is None)
            and wish.text in r.id
        ]
        found.sort(key=key, reverse=True)
        return found[wish.offset : wish.offset + wish.limit], len(found)


@st.composite
def histories(draw: st.DrawFn) -> tuple[History, list[tuple[str, Any]]]:
    """Draw what happens on a server, and how a listener hears of it."""
    history, heard, kept = History(), [], 0
    triggers = list(JobTrigger)
    for _ in range(draw(st.integers(1, 40))):
        what = draw(
            st.sampled_from(["new", "step", "step", "step", "progress", "tell", "again", "gap", "list"])
        )
        if what == "new":
            parent = draw(st.sampled_from([None, None, "sweep"]))
            history.keep(build_job(len(history.jobs), parent_id=parent))
        elif what == "step" and history.unfinished:
            record = draw(st.sampled_from(history.unfinished))
            try:
                state = advance(record.state, draw(st.sampled_from(triggers)))
            except ValueError:
                continue
            sharpe = draw(st.sampled_from([None, 0.5, 1.0, -2.0])) if state.is_finished else None
            headline = {} if sharpe is None else {"sharpe": sharpe}
            history.keep(msgspec.structs.replace(record, state=state, headline=headline))
        elif what == "progress" and history.jobs:
            job_id = draw(st.sampled_from(sorted(history.jobs)))
            events = draw(st.integers(0, 9))
            heard.append(("tell", tell_progress(job_id, events=events, simulated_ts_ns=events, equity="1.5")))
        elif what == "tell":
            heard += [("tell", m) for m in history.told[kept:]]
            kept = len(history.told)
        elif what == "again" and kept:
            heard += [("tell", m) for m in history.told[draw(st.integers(0, kept - 1)) : kept]]
        elif what == "gap":
            heard.append(("tell", {"type": "hello", "seq": len(history.told)}))
            heard.append(("snapshot", (tell_snapshot(*history.unfinished), dict(history.jobs))))
            kept = len(history.told)
        elif what == "list":
            heard.append(("list", dict(history.jobs)))
    heard += [("tell", m) for m in history.told[kept:]]
    return history, heard


@given(histories(), st.sampled_from(sorted(GROUPS)), st.sampled_from(sorted(ORDERS)), st.booleans())
def test_any_sequence_of_messages_leaves_the_list_of_the_server(
    drawn: tuple[History, list[tuple[str, Any]]], group: str, sort: str, has_trials: bool
) -> None:
    history, heard = drawn
    book, jobs = JobBook(), JobList(JobWish(group=group, sort=sort, has_trials=has_trials))
    for what, said in heard:
        if what == "tell":
            book.note(said)
        elif what == "snapshot":  # What it does not name is asked for, as the feed does
            book.note(said[0])
            book.take([said[1][job_id] for job_id in list(book.unsure)])
        else:
            jobs.take(*History(said).list_jobs(jobs.wish))
        assert not book.unsure

    has_heard_all = bool(book.jobs.keys() >= {r.id for r in history.unfinished})
    assert has_heard_all
    for record in book.jobs.values():
        assert msgspec.structs.replace(record, progress=None) == history.jobs[record.id]
    # What ended before a gap is not told: that is what the list is asked for when the feed says that it changed.
    jobs.take(*history.list_jobs(jobs.wish))
    shown = [msgspec.structs.replace(r, progress=None) for r in jobs.build(book.jobs)]
    assert (shown, len(shown)) == history.list_jobs(jobs.wish)


@given(histories(), st.sampled_from(sorted(GROUPS)), st.sampled_from(sorted(ORDERS)), st.data())
def test_list_from_before_and_all_messages_since_are_the_list_of_now(
    drawn: tuple[History, list[tuple[str, Any]]], group: str, sort: str, data: st.DataObject
) -> None:
    """No list is asked for again: as long as all jobs fit on the page, hearing alone keeps it."""
    history, _ = drawn
    cut = data.draw(st.integers(0, len(history.told)))
    before: dict[str, JobRecord] = {}
    for message in history.told[:cut]:
        record = msgspec.convert(message["job"], JobRecord)
        before[record.id] = record
    book, jobs = JobBook(), JobList(JobWish(group=group, sort=sort))
    everything = list(before.values())
    jobs.take(everything, len(everything))
    book.note(tell_snapshot(*(r for r in everything if not r.state.is_finished)))
    for message in history.told[cut:]:
        book.note(message)

    shown = [msgspec.structs.replace(r, progress=None) for r in jobs.build(book.jobs)]
    assert shown == history.list_jobs(jobs.wish)[0]


def test_progress_of_a_job_at_work_is_kept_with_its_equity_and_time() -> None:
    book = JobBook()
    book.note(tell_snapshot(build_job(1, state=JobState.RUNNING, seq=2)))
    book.note(
        tell_progress("job-001", fraction=0.5, simulated_ts_ns=7, equity="1.5", currency="USD"), now=12.0
    )

    assert book.jobs["job-001"].progress == Progress(
        fraction=0.5, simulated_ts_ns=7, equity="1.5", currency="USD"
    )
    assert book.curves["job-001"].points == [(7, 1.5)]
    assert book.heard_at == {"job-001": 12.0}

    book.note(tell_job(build_job(1, state=JobState.PAUSED, seq=3)))
    assert book.jobs["job-001"].progress.fraction == 0.5  # type: ignore[union-attr]

    book.note(tell_job(build_job(1, state=JobState.CANCELLED, seq=4)))
    assert book.heard_at == {}
    book.note(tell_progress("job-001", fraction=0.9))
    assert book.jobs["job-001"].progress.fraction == 0.5  # type: ignore[union-attr]


def test_progress_of_a_job_that_nobody_knows_says_nothing() -> None:
    book = JobBook()
    book.note(tell_progress("job-001", fraction=0.5))
    book.note({"type": "news of another version"})

    assert book.jobs == {}


def test_version_grows_with_changes_not_with_progress_or_repeats() -> None:
    book = JobBook()
    record = build_job(1, seq=1)
    book.note(tell_job(record))
    version = book.version
    book.note(tell_job(record))
    book.note(tell_progress("job-001", fraction=0.5))
    assert book.version == version
    book.note(tell_job(msgspec.structs.replace(record, seq=2, state=JobState.RUNNING)))
    assert book.version > version


def test_ended_jobs_are_forgotten_from_the_oldest_and_others_never() -> None:
    book = JobBook(most_finished=3)
    for number in range(10):
        book.note(tell_job(build_job(number, seq=number + 1)))
    for number in range(8):
        book.note(tell_job(build_job(number, seq=number + 20, state=JobState.FAILED)))

    assert sorted(book.jobs) == [f"job-{n:03d}" for n in (5, 6, 7, 8, 9)]


def test_job_that_a_snapshot_does_not_name_is_in_doubt_until_it_is_known() -> None:
    book = JobBook()
    book.note(tell_snapshot(build_job(1), build_job(2)))
    assert book.has_snapshot
    book.note(tell_snapshot(build_job(2)))
    assert book.unsure == {"job-001"}

    book.take([build_job(1, state=JobState.COMPLETED, seq=9)])
    assert book.unsure == set()
    assert book.jobs["job-001"].state == JobState.COMPLETED

    book.note(tell_snapshot())
    book.forget("job-002")
    assert book.unsure == set()
    assert list(book.jobs) == ["job-001"]


def test_older_news_told_again_takes_no_job_back() -> None:
    book = JobBook()
    book.note(tell_job(build_job(1, seq=3, state=JobState.COMPLETED)))
    book.note(tell_job(build_job(1, seq=2, state=JobState.RUNNING)))

    assert book.jobs["job-001"].state == JobState.COMPLETED
