from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import WorkerError
from workbench.jobs.channel import (
    Cancel,
    Channel,
    Finished,
    Heard,
    Message,
    Pause,
    Recycle,
    Resume,
    Run,
    Tick,
)
from workbench.records import Failure, Progress
from workbench.states import JobState

_text = st.text(max_size=20)
_plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | _text | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=10,
)
_spec = st.dictionaries(_text, _plain, max_size=4)
_failure = st.builds(Failure, kind=_text, message=_text, traceback=_text)
_messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(Run, task=_text, spec=_spec, search_path=st.lists(_text, max_size=3), is_paused=st.booleans()),
    st.just(Pause()),
    st.just(Resume()),
    st.just(Cancel()),
    st.just(Heard()),
    st.builds(Tick, st.builds(Progress, stage=_text, events=st.integers(0, 2**60))),
    st.builds(Finished, st.sampled_from(JobState), _spec, st.none() | _failure),
    st.builds(Recycle, _text),
)


class Ends:
    def __init__(self) -> None:
        ours, self.raw = socket.socketpair()
        self.channel = Channel(ours)

    def close(self) -> None:
        self.raw.close()
        self.channel.close()


@pytest.fixture
def ends() -> Iterator[Ends]:
    pair = Ends()
    yield pair
    pair.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(_messages, max_size=5))
def test_channel_messages_arrive_equal_and_in_order(messages: list[Message]) -> None:
    left, right = socket.socketpair()
    sender, receiver = Channel(left), Channel(right)
    try:
        for message in messages:
            sender.send(message)
        assert [receiver.receive() for _ in messages] == messages
    finally:
        sender.close()
        assert receiver.receive() is None
        receiver.close()


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60))
def test_channel_nonsense_is_an_error_or_an_end(nonsense: bytes) -> None:
    ends = Ends()
    ends.raw.sendall(struct.pack("!I", len(nonsense)) + nonsense)
    ends.raw.shutdown(socket.SHUT_RDWR)
    try:
        message: Any = ends.channel.receive()
        assert isinstance(message, Message)
    except WorkerError as e:
        assert "could not be read" in str(e)
    finally:
        ends.close()


def test_channel_oversize_header_is_refused_before_it_is_read(ends: Ends) -> None:
    ends.raw.sendall(b"\xff\xff\xff\xff")
    with pytest.raises(WorkerError, match="4294967295 bytes arrived"):
        ends.channel.receive()


@pytest.mark.parametrize("cut", [1, 3, 4, 6])
def test_channel_cut_message_is_an_end(ends: Ends, cut: int) -> None:
    ends.raw.sendall((struct.pack("!I", 100) + b"abcdef")[:cut])
    ends.raw.shutdown(socket.SHUT_RDWR)
    assert ends.channel.receive() is None


@pytest.mark.parametrize("value", [object(), 2**70, "\udcff"])
def test_channel_value_that_cannot_travel_is_refused_and_nothing_sent(ends: Ends, value: Any) -> None:
    with pytest.raises(WorkerError, match="cannot be sent"):
        ends.channel.send(Run("a:b", {"value": value}))
    ends.channel.send(Pause())
    assert Channel(ends.raw).receive() == Pause()


def test_channel_oversize_message_is_refused_and_nothing_sent(ends: Ends) -> None:
    with pytest.raises(WorkerError, match="bytes cannot be sent"):
        ends.channel.send(Run("a:b", {"value": bytes(17 * 1024 * 1024)}))
    ends.channel.send(Pause())
    assert Channel(ends.raw).receive() == Pause()


def test_channel_other_end_gone_send_raises_os_error(ends: Ends) -> None:
    ends.raw.close()
    with pytest.raises(OSError, match="pipe"):
        ends.channel.send(Pause())
