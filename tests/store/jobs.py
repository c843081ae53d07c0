"""Job records to store, and what the store makes of them, told in other words than the store's own."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from hypothesis import strategies as st

from workbench.records import Failure, JobRecord, Progress
from workbench.states import JobState

__all__ = ["build_job", "expect_stored", "jobs"]

CREATED = "2026-01-02T03:04:05.678Z"

# With NUL and lone surrogates, which no column of text can hold.
_text = st.text(st.characters(exclude_categories=()), max_size=12) | st.sampled_from(
    ["\0", "a\0b", "\ud800x", "Ærø 50 %_\\", "'; DROP TABLE jobs; --", "日本"]
)
_count = st.integers(-(2**63), 2**63 - 1)
_finite = st.floats(allow_nan=False, allow_infinity=False)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(2**63, 2**200) | _finite | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=8,
)
_object = st.dictionaries(_text, _json, max_size=4)
_failures = st.builds(
    Failure, kind=_text, message=_text, traceback=_text, detail=st.dictionaries(_text, _text, max_size=2)
)

jobs = st.builds(
    JobRecord,
    id=_text,
    kind=_text,
    name=_text,
    state=st.sampled_from(JobState),
    owner=_text,
    created_at=_text,
    started_at=st.none() | _text,
    finished_at=st.none() | _text,
    spec=_object,
    parent_id=st.none() | _text,
    requeued_from=st.none() | _text,
    point=_object,
    lineage=_text,
    dataset=_text,
    reason=_text,
    rows=_count,
    predicted_rss_bytes=_count,
    peak_rss_bytes=_count,
    elapsed_secs=_finite,
    progress=st.none() | st.just(Progress(fraction=0.5)),
    failure=st.none() | _failures,
    identity=_text,
    headline=st.dictionaries(_text | st.just("sharpe"), st.floats(), max_size=4),
    seq=_count,
)


def build_job(job_id: str, **fields: Any) -> JobRecord:
    """Return the record of a job that matters for its id and `fields`."""
    return JobRecord(id=job_id, **{"kind": "backtest", "created_at": CREATED, **fields})


def expect_stored(job: JobRecord, seq: int) -> JobRecord:
    """Return `job` as it should come back."""
    values = {
        field: _clean(value) if isinstance(value, str) and not isinstance(value, JobState) else value
        for field, value in msgspec.structs.asdict(job).items()
    }
    values["spec"] = _clean_json(job.spec)
    values["point"] = _clean_json(job.point)
    if job.failure is not None:
        values["failure"] = msgspec.convert(_clean_json(msgspec.to_builtins(job.failure)), Failure)
    values["headline"] = {_clean(name): x for name, x in job.headline.items() if math.isfinite(x)}
    return JobRecord(**{**values, "progress": None, "seq": seq})


def _clean(text: str) -> str:
    return "".join("\ufffd" if c == "\0" or 0xD800 <= ord(c) <= 0xDFFF else c for c in text)


def _clean_json(value: Any) -> Any:
    if isinstance(value, str):
        return "".join("\ufffd" if 0xD800 <= ord(c) <= 0xDFFF else c for c in value)
    if isinstance(value, list):
        return [_clean_json(item) for item in value]
    if isinstance(value, dict):
        return {_clean_json(key): _clean_json(item) for key, item in value.items()}
    return value
