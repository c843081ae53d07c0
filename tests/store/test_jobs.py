from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.store.jobs import build_job, expect_stored, jobs
from workbench.errors import ConflictError, ExistsError, InputError, NotFoundError, WorkbenchError
from workbench.records import Failure, JobRecord, Progress
from workbench.roles import Role
from workbench.states import JobState
from workbench.store import Store
from workbench.store.fields import FIELDS

RUNNING, COMPLETED, PENDING = JobState.RUNNING, JobState.COMPLETED, JobState.PENDING

quick = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_every_field_of_a_job_but_progress_is_stored() -> None:
    assert {field.name for field in msgspec.structs.fields(JobRecord)} - set(FIELDS) == {"progress"}
    assert set(FIELDS) <= {field.name for field in msgspec.structs.fields(JobRecord)}


@quick
@given(jobs)
@example(build_job("a\0", name="\ud800", spec={"n": 2**100, "t": "\0"}, headline={"sharpe": float("nan")}))
def test_job_any_comes_back_as_it_was(store: Store, job: JobRecord) -> None:
    store.clear_index()

    added = store.add_job(job)

    assert added == expect_stored(job, added.seq)
    assert store.get_job(job.id) == added
    (event,) = store.find_events(0)
    assert event.job == msgspec.structs.replace(added, spec={})
    assert event.seq == added.seq


@quick
@given(jobs, jobs)
def test_job_any_change_is_stored(store: Store, job: JobRecord, change: JobRecord) -> None:
    store.clear_index()
    job = msgspec.structs.replace(job, state=PENDING)
    store.add_job(job)
    changes = {name: getattr(change, name) for name in FIELDS if name not in {"id", "seq"}}

    updated = store.update_job(job.id, **changes)

    whole = msgspec.structs.replace(change, id=job.id)
    assert updated == expect_stored(whole, updated.seq) == store.get_job(job.id)
    is_told = change.state is not PENDING or updated.reason != store.find_events(0)[0].job.reason
    assert len(store.find_events(0)) == 1 + is_told


def test_job_with_a_known_id_is_refused_and_numbers_go_on(store: Store) -> None:
    store.add_job(build_job("a", name="first"))

    with pytest.raises(ExistsError, match="'a'"):
        store.add_job(build_job("a", name="second"))

    assert store.get_job("a").name == "first"
    assert store.add_job(build_job("b")).seq == 2


def test_job_unknown_is_not_found(store: Store) -> None:
    for call in (store.get_job, store.update_job):
        for job_id in ("nobody", "a\0", "\ud800", ""):
            with pytest.raises(NotFoundError):
                call(job_id)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"rows": 2**63}, "rows"),
        ({"peak_rss_bytes": -(2**63) - 1}, "peak_rss_bytes"),
        ({"elapsed_secs": float("nan")}, "elapsed_secs"),
        ({"spec": {"a": [float("inf")]}}, "spec"),
        ({"point": {"a": object()}}, "point"),
        ({"lineage": "x" * 256}, "lineage"),
        ({"name": None}, "name"),
    ],
)
def test_value_that_cannot_be_stored_is_refused_with_its_field(
    store: Store, fields: dict[str, Any], field: str
) -> None:
    store.add_job(build_job("a"))

    for call in (lambda: store.add_job(build_job("b", **fields)), lambda: store.update_job("a", **fields)):
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.field == field
    assert store.find_ids() == {"a"}
    assert store.find_event_bounds() == (1, 1)


def test_longest_keys_of_wide_characters_fit_their_indexes(store: Store) -> None:
    job = build_job(
        "\U0001f600" * 255, **dict.fromkeys(("lineage", "dataset", "created_at"), "\U0001f600" * 255)
    )

    assert store.get_job(store.add_job(job).id).lineage == job.lineage


@pytest.mark.parametrize("name", ["id", "seq", "progress", "no_such"])
def test_field_that_does_not_change_is_refused(store: Store, name: str) -> None:
    store.add_job(build_job("a"))

    with pytest.raises(InputError, match=name):
        store.update_job("a", **{name: "x"})


def test_change_of_state_or_reason_gets_a_number_and_other_changes_do_not(store: Store) -> None:
    store.add_job(build_job("a"))

    assert store.update_job("a", reason="waits").seq == 2
    assert store.update_job("a", reason="waits", predicted_rss_bytes=5).seq == 2
    assert store.update_job("a", state=PENDING).seq == 2
    assert store.update_job("a", state=RUNNING, reason="").seq == 3
    assert store.update_job("a").seq == 3
    assert [(e.seq, e.job.state, e.job.reason) for e in store.find_events(0)] == [
        (1, PENDING, ""),
        (2, PENDING, "waits"),
        (3, RUNNING, ""),
    ]


def test_job_in_another_state_than_expected_is_left_alone(store: Store) -> None:
    store.add_job(build_job("a"))

    with pytest.raises(ConflictError, match=r"'a' is PENDING; expected RUNNING"):
        store.update_job("a", expected=RUNNING, state=COMPLETED)

    assert store.get_job("a").state is PENDING
    assert store.update_job("a", expected=PENDING, state=RUNNING).state is RUNNING


@pytest.mark.parametrize("state", [s for s in JobState if s.is_finished])
def test_finished_job_never_changes(store: Store, state: JobState) -> None:
    before = store.add_job(build_job("a", state=state, name="as it was"))

    for changes in ({"name": "other"}, {"state": RUNNING}, {}):
        with pytest.raises(ConflictError, match=f"is {state}"):
            store.update_job("a", **changes)

    assert store.put_finished(build_job("a", state=COMPLETED, name="other")) == before
    assert store.get_job("a") == before
    assert store.find_event_bounds() == (1, 1)


def test_finished_job_takes_the_place_of_an_unfinished_one_or_none(store: Store) -> None:
    store.add_job(build_job("a", state=RUNNING, name="old", spec={"x": 1}))
    failed = build_job("a", state=JobState.FAILED, name="New", failure=Failure(kind="died", message="gone"))

    assert store.put_finished(failed) == expect_stored(failed, 2)
    assert store.put_finished(msgspec.structs.replace(failed, id="b")).seq == 3
    assert [e.job.id for e in store.find_events(0)] == ["a", "a", "b"]
    with pytest.raises(InputError, match="RUNNING"):
        store.put_finished(build_job("c", state=RUNNING))


def test_cleared_index_keeps_users_and_numbers(store: Store) -> None:
    store.add_user("ann", Role.ADMIN)
    store.add_token("ann", token_hash="h")
    store.add_job(build_job("a"))

    store.clear_index()

    assert store.find_ids() == set()
    assert store.find_event_bounds() == (0, 0)
    assert [user.name for user in store.list_users()] == ["ann"]
    assert len(store.list_tokens("ann")) == 1
    assert store.add_job(build_job("a")).seq == 2


def test_progress_is_not_stored(store: Store) -> None:
    assert store.add_job(build_job("a", progress=Progress(fraction=1.0))).progress is None


_ids = st.sampled_from(["a", "b", "c"])
_states = st.sampled_from(JobState)
_steps = st.lists(
    st.tuples(st.just("add"), _ids, _states)
    | st.tuples(st.just("put"), _ids, _states)
    | st.tuples(st.just("move"), _ids, _states, st.none() | _states)
    | st.tuples(st.just("rename"), _ids, st.sampled_from(["x", "y"]))
    | st.tuples(st.just("prune"), st.integers(0, 4))
    | st.tuples(st.just("clear")),
    max_size=14,
)


class _Model:
    """What the store should do, in memory."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.jobs: dict[str, tuple[JobState, str, int]] = {}
        self.events: list[tuple[int, str, JobState]] = []

    def put(self, job_id: str, state: JobState, name: str) -> None:
        if job_id not in self.jobs or self.jobs[job_id][0] is not state:
            self.seq += 1
            self.events.append((self.seq, job_id, state))
            self.jobs[job_id] = (state, name, self.seq)
        else:
            self.jobs[job_id] = (state, name, self.jobs[job_id][2])

    def add(self, job_id: str, state: JobState) -> type[WorkbenchError] | None:
        if job_id in self.jobs:
            return ExistsError
        self.put(job_id, state, "")
        return None

    def put_finished(self, job_id: str, state: JobState) -> type[WorkbenchError] | None:
        if not state.is_finished:
            return InputError
        if job_id not in self.jobs or not self.jobs[job_id][0].is_finished:
            self.put(job_id, state, "")
        return None

    def change(
        self, job_id: str, state: JobState | None, expected: JobState | None, name: str | None
    ) -> type[WorkbenchError] | None:
        if job_id not in self.jobs:
            return NotFoundError
        present, old_name, _ = self.jobs[job_id]
        if present.is_finished or expected not in (None, present):
            return ConflictError
        self.put(job_id, state or present, old_name if name is None else name)
        return None


def _do(call: Any, expected: type[WorkbenchError] | None) -> None:
    if expected is None:
        call()
    else:
        with pytest.raises(expected) as caught:
            call()
        assert type(caught.value) is expected


@settings(parent=quick, max_examples=30)
@given(_steps)
def test_store_random_steps_do_as_the_model(store: Store, steps: list[tuple[Any, ...]]) -> None:
    store.clear_index()
    model = _Model(store.add_job(build_job("start")).seq)
    store.clear_index()
    for step, *arguments in steps:
        match step:
            case "add":
                job_id, state = arguments
                _do(lambda: store.add_job(build_job(job_id, state=state)), model.add(job_id, state))  # noqa: B023
            case "put":
                job_id, state = arguments
                wanted = model.put_finished(job_id, state)
                _do(lambda: store.put_finished(build_job(job_id, state=state)), wanted)  # noqa: B023
            case "move":
                job_id, state, expected = arguments
                wanted = model.change(job_id, state, expected, None)
                _do(lambda: store.update_job(job_id, expected=expected, state=state), wanted)  # noqa: B023
            case "rename":
                job_id, name = arguments
                _do(lambda: store.update_job(job_id, name=name), model.change(job_id, None, None, name))  # noqa: B023
            case "prune":
                keep = arguments[0]
                kept = model.events[len(model.events) - keep :] if keep < len(model.events) else model.events
                assert store.prune_events(keep) == len(model.events) - len(kept)
                model.events = kept
            case "clear":
                store.clear_index()
                model.jobs, model.events = {}, []

    found = {job_id: store.get_job(job_id) for job_id in store.find_ids()}
    assert {i: (job.state, job.name, job.seq) for i, job in found.items()} == model.jobs
    assert [(e.seq, e.job.id, e.job.state) for e in store.find_events(0)] == model.events
    bounds = (model.events[0][0], model.events[-1][0]) if model.events else (0, 0)
    assert store.find_event_bounds() == bounds
    counts = [state for state, _, _ in model.jobs.values()]
    assert store.count_states() == {state: counts.count(state) for state in JobState}
    for finished in (True, False):
        wanted_ids = {i for i, (state, _, _) in model.jobs.items() if state.is_finished is finished}
        assert store.find_ids(finished=finished) == wanted_ids
