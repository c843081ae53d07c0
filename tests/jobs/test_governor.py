from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workbench.jobs.governor import Past, explain_wait, find_memory_bytes, predict

_PASTS = st.lists(
    st.builds(
        Past, st.integers(0, 10**7), st.integers(10**8, 10**10), st.floats(0.01, 10**4, allow_nan=False)
    )
)


def test_predict_without_a_past_grows_with_the_rows_that_are_held_at_once() -> None:
    small, large, chunked = (predict(rows, []).rss_bytes for rows in (1_000, 250_000, 10_000_000))

    assert small < large == chunked
    assert "no run of this size yet" in predict(1_000, []).basis


def test_predict_with_a_past_takes_the_hungriest_of_about_this_size() -> None:
    history = [Past(1_000, 400, 1.0), Past(1_200, 500, 1.2), Past(100_000, 9_000, 50.0)]

    expected = predict(1_100, history)

    assert expected.rss_bytes == 575
    assert expected.elapsed_secs == 1.1
    assert expected.basis == "2 past runs of about 1,100 data points"


def test_predict_of_another_size_takes_the_pace_of_what_was_not_small() -> None:
    history = [Past(100, 400, 5.0), Past(50_000, 900, 5.0), Past(100_000, 900, 20.0), Past(40_000, 900, 1.0)]

    expected = predict(10_000_000, history)

    assert expected.rss_bytes == predict(10_000_000, []).rss_bytes
    assert expected.elapsed_secs == 1.0 + 10_000_000 * 5.0 / 50_000
    assert expected.basis.endswith("no run of this size yet; the time at the pace of 3 past runs")


@given(st.integers(0, 10**8), _PASTS)
def test_predict_any_past_gives_a_usable_number(rows: int, history: list[Past]) -> None:
    expected = predict(rows, history)

    assert expected.rss_bytes > 0
    assert expected.elapsed_secs >= 0


@given(st.integers(1, 10**9), st.lists(st.integers(1, 10**9), max_size=8), st.integers(1, 10**9))
def test_explain_wait_lets_in_what_fits_and_whoever_is_alone(
    needed: int, reserved: list[int], memory: int
) -> None:
    may_start = explain_wait(needed, reserved, memory) == ""

    assert may_start == (not reserved or sum(reserved) + needed <= memory)


def test_explain_wait_says_what_is_missing() -> None:
    reason = explain_wait(500_000_000, [300_000_000, 400_000_000], 1_000_000_000)

    assert reason == (
        "waits for memory: it needs about 500 MB, and 2 running or paused have reserved 700 of 1,000 MB"
    )


def test_find_memory_bytes_leaves_some_of_the_machine() -> None:
    assert 0 < find_memory_bytes() < 10**14
