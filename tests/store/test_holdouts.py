from __future__ import annotations

import threading

import pytest

from tests.store.jobs import build_job
from workbench.errors import ExistsError, InputError, NotFoundError
from workbench.records import HoldoutRecord
from workbench.states import JobState
from workbench.store import Store

DATA = "GBP/USD.SIM-1-MINUTE-BID-EXTERNAL"


def seal(store: Store, dataset: str = DATA, **changes: str) -> HoldoutRecord:
    fields = {"start": "2012-02-06", "end": "2012-02-07T00:00:00.5+01:00", "sealed_by": "ann", **changes}
    return store.add_holdout(dataset, **fields)


def test_sealed_range_is_kept_in_the_form_of_a_preview(url: str) -> None:
    store = Store.open(url)
    added = seal(store)
    other = seal(store, "EUR/USD.SIM@QuoteTick")
    store.close()

    store = Store.open(url)

    assert (added.start, added.end) == ("2012-02-06T00:00:00.000000000Z", "2012-02-06T23:00:00.500000000Z")
    assert (added.dataset, added.sealed_by, added.uses) == (DATA, "ann", 0)
    assert store.find_holdout(DATA) == added
    assert store.list_holdouts() == [other, added]
    assert store.find_holdout("GBP") is None
    assert store.find_holdout("") is None
    store.close()


def test_second_seal_of_a_dataset_is_refused_and_changes_nothing(store: Store) -> None:
    added = seal(store)

    with pytest.raises(ExistsError, match="is sealed already"):
        seal(store, end="2013-01-01", sealed_by="bob")

    assert store.list_holdouts() == [added]


@pytest.mark.parametrize(
    ("dataset", "changes", "field"),
    [
        (DATA, {"start": "soon"}, "start"),
        (DATA, {"end": ""}, "end"),
        (DATA, {"end": "2012-02-05T23:59:59.999999999Z"}, "end"),
        ("", {}, "dataset"),
        ("x" * 256, {}, "dataset"),
    ],
)
def test_range_that_is_none_is_refused_and_named(
    store: Store, dataset: str, changes: dict[str, str], field: str
) -> None:
    with pytest.raises(InputError) as refused:
        seal(store, dataset, **changes)

    assert refused.value.field == field
    assert store.list_holdouts() == []


def test_range_of_one_moment_can_be_sealed(store: Store) -> None:
    assert seal(store, start="2012-02-06", end="2012-02-06T00:00Z").uses == 0


def test_dataset_with_characters_that_no_column_holds_is_found_by_them(store: Store) -> None:
    added = seal(store, "a\0\ud800")
    store.add_holdout_use("a\0\ud800", "j\0", "\ud800")

    assert added.dataset == "a\ufffd\ufffd"
    assert store.find_holdout("a\0\ud800") == store.list_holdouts()[0]
    assert [use.job_id for use in store.list_holdout_uses("a\0\ud800")] == ["j\ufffd"]


def test_use_is_counted_once_for_a_job_and_listed_latest_first(store: Store) -> None:
    seal(store)
    for job_id, user in (("a", "ann"), ("b", "bob"), ("a", "eve")):
        store.add_holdout_use(DATA, job_id, user)
    store.add_holdout_use("other", "a", "ann")

    uses = store.list_holdout_uses(DATA)

    assert {(use.dataset, use.job_id, use.user) for use in uses} == {(DATA, "a", "ann"), (DATA, "b", "bob")}
    assert [(use.ts, use.job_id) for use in uses] == sorted(((u.ts, u.job_id) for u in uses), reverse=True)
    found = store.find_holdout(DATA)
    assert found is not None
    assert found.uses == 2
    assert [holdout.uses for holdout in store.list_holdouts()] == [2]
    assert store.list_holdout_uses("nothing") == []


def test_use_counted_by_many_threads_at_once_is_one(store: Store) -> None:
    threads = [threading.Thread(target=store.add_holdout_use, args=(DATA, "a", "ann")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(store.list_holdout_uses(DATA)) == 1


def test_uses_outlive_the_seal(store: Store) -> None:
    seal(store)
    store.add_holdout_use(DATA, "a", "ann")

    store.remove_holdout(DATA)

    assert store.find_holdout(DATA) is None
    with pytest.raises(NotFoundError, match="no range of"):
        store.remove_holdout(DATA)
    assert seal(store, sealed_by="bob").uses == 1, "what was seen stays seen"


def test_job_and_its_use_are_written_together_or_not_at_all(store: Store) -> None:
    seal(store)
    store.add_job(build_job("a", dataset=DATA, owner="ann"), uses_holdout=True)
    store.add_job(build_job("b", dataset=DATA, owner="ann"))

    with pytest.raises(ExistsError):
        store.add_job(build_job("a", dataset="other", owner="bob"), uses_holdout=True)

    assert [(use.job_id, use.user) for use in store.list_holdout_uses(DATA)] == [("a", "ann")]
    assert store.list_holdout_uses("other") == []


def test_clearing_the_index_keeps_seals_and_uses(store: Store) -> None:
    seal(store)
    store.add_job(build_job("a", dataset=DATA, owner="ann", state=JobState.COMPLETED), uses_holdout=True)
    before = store.list_holdouts(), store.list_holdout_uses(DATA)

    store.clear_index()

    assert (store.list_holdouts(), store.list_holdout_uses(DATA)) == before
    assert before[0][0].uses == 1
