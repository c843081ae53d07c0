from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.records import Failure, FileRecord, Identity, Progress, RunRecord
from workbench.states import JobState

_text = st.text(max_size=12)
_count = st.integers(0, 2**63 - 1)
_finite = st.floats(allow_nan=False, allow_infinity=False)
_failures = st.builds(Failure, kind=_text, message=_text, traceback=_text)
_progress = st.builds(
    Progress,
    state=st.sampled_from(JobState),
    stage=_text,
    fraction=_finite,
    simulated_ts_ns=st.none() | _count,
    events=_count,
    events_per_sec=_finite,
    eta_secs=st.none() | _finite,
    equity=st.none() | _text,
    currency=_text,
    open_positions=_count,
    open_orders=_count,
    rss_bytes=_count,
)
_records = st.builds(
    RunRecord,
    run_id=_text,
    name=_text,
    state=st.sampled_from(JobState),
    failure=st.none() | _failures,
    identity=st.none() | st.builds(Identity, run=_text, code=_text, config=_text, data=_text),
    versions=st.dictionaries(_text, _text, max_size=3),
    started_at=_text,
    finished_at=_text,
    elapsed_secs=_finite,
    events=_count,
    files=st.dictionaries(
        _text, st.builds(FileRecord, sha256=_text, bytes=_count, rows=st.none() | _count), max_size=3
    ),
)


@settings(max_examples=80, deadline=None)
@given(_progress | _records | _failures)
def test_record_json_and_msgpack_round_trip_is_equal(record: Any) -> None:
    for codec in (msgspec.json, msgspec.msgpack):
        assert codec.decode(codec.encode(record), type=type(record)) == record


def test_run_record_without_a_required_field_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="state"):
        msgspec.json.decode(b'{"run_id": "a", "started_at": "", "finished_at": ""}', type=RunRecord)


def test_run_record_with_an_unknown_state_is_refused() -> None:
    text = b'{"run_id": "a", "state": "ASLEEP", "started_at": "", "finished_at": ""}'
    with pytest.raises(msgspec.ValidationError, match="ASLEEP"):
        msgspec.json.decode(text, type=RunRecord)


def test_run_record_with_a_field_of_a_later_version_is_read() -> None:
    text = b'{"run_id": "a", "state": "FAILED", "started_at": "", "finished_at": "", "later": 1}'
    assert msgspec.json.decode(text, type=RunRecord).run_id == "a"


def test_progress_nan_survives_msgpack() -> None:
    sent = msgspec.msgpack.encode(Progress(events_per_sec=math.nan))
    assert math.isnan(msgspec.msgpack.decode(sent, type=Progress).events_per_sec)
