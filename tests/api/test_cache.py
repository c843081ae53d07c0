"""Answers are kept as long as they are true, and not too many of them."""

from __future__ import annotations

from workbench.api.cache import AnswerCache


def test_answer_is_made_once_for_a_state() -> None:
    cache, made = AnswerCache(2), []

    def make() -> bytes:
        made.append(1)
        return b"%d" % len(made)

    assert [cache.find("a", state, make) for state in (1, 1, 2, 2, 1)] == [b"1", b"1", b"2", b"2", b"3"]


def test_answer_that_was_not_asked_for_longest_is_forgotten_first() -> None:
    cache, made = AnswerCache(2), []

    def ask(key: str) -> None:
        def make() -> bytes:
            made.append(key)
            return b""

        cache.find(key, 0, make)

    for key in "abacabb":
        ask(key)
    assert made == ["a", "b", "c", "b"]
