"""Secrets by reference."""

from __future__ import annotations

import sys

import pytest

from workbench.errors import ConfigError
from workbench.live.secret_references import Secrets


def test_references_are_filled_in_wherever_they_stand() -> None:
    secrets = Secrets({"KEY": "abc", "OTHER": "xyz"})
    values = {"a": ["env:KEY", 1, None], "b": {"c": "env:OTHER"}, "d": "see env:KEY", "e": "plain"}
    assert secrets.resolve(values) == {
        "a": ["abc", 1, None],
        "b": {"c": "xyz"},
        "d": "see env:KEY",
        "e": "plain",
    }
    assert secrets.scrub("bad key abc, xyz") == "bad key ***, ***"


@pytest.mark.parametrize("environ", [{}, {"KEY": ""}])
def test_reference_to_nothing_is_refused_with_its_place(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="the environment has no KEY") as caught:
        Secrets(environ).resolve({"clients": [{"api_key": "env:KEY"}]})
    assert caught.value.field == "node.clients.0.api_key"


def test_keyring_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError, match="keyring is not installed"):
        Secrets({}).resolve({"key": "keyring:venue/key"})
