"""Secrets by reference: filled in in memory, and taken out of whatever is said about them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from workbench.errors import ConfigError

__all__ = ["Secrets"]

_REFERENCE = re.compile(r"(?P<kind>env|keyring):(?P<name>\S+)")


class Secrets:
    """
    Fills in the secrets that a configuration refers to, and remembers them, to keep them out of messages.

    Parameters
    ----------
    environ : Mapping[str, str], optional
        Where ``env:NAME`` is looked up; default: the environment of the process.

    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self._known: set[str] = set()

    def resolve(self, values: Any, *, place: str = "node") -> Any:
        """
        Return `values` with every reference replaced by its secret.

        A reference is a whole text: ``env:NAME``, or ``keyring:SERVICE/NAME``.

        Raises
        ------
        ConfigError
            If there is no such secret; `field` names the place.

        """
        if isinstance(values, dict):
            return {k: self.resolve(v, place=f"{place}.{k}") for k, v in values.items()}
        if isinstance(values, list):
            return [self.resolve(v, place=f"{place}.{i}") for i, v in enumerate(values)]
        reference = _REFERENCE.fullmatch(values) if isinstance(values, str) else None
        if reference is None:
            return values
        read = self._read_environ if reference["kind"] == "env" else _read_keyring
        secret = read(reference["name"], place)
        self._known.add(secret)
        return secret

    def scrub(self, text: str) -> str:
        """Return `text` without the secrets."""
        for secret in sorted(self._known, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def _read_environ(self, name: str, place: str) -> str:
        secret = self._environ.get(name)
        if not secret:
            raise ConfigError(
                f"the environment has no {name}",
                expected=f"the secret that {place} refers to",
                advice="set it where the engine is started",
                field=place,
            )
        return secret


def _read_keyring(name: str, place: str) -> str:
    try:
        import keyring  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise ConfigError(
            f"{place} refers to a keyring, and the package keyring is not installed",
            advice="install it, or use env:NAME",
            field=place,
        ) from None
    service, _, user = name.partition("/")
    secret = keyring.get_password(service, user) if user else None
    if not secret:
        raise ConfigError(f"the keyring has no {name}", expected="keyring:SERVICE/NAME", field=place)
    return str(secret)
