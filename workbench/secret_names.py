"""What may hold a secret: names of fields that do, references that stand for one, and texts that are one."""

from __future__ import annotations

import re

__all__ = ["REFERENCE_WORDS", "is_reference", "is_secret_name", "is_secret_text"]

REFERENCE_WORDS = "a reference: env:NAME or keyring:SERVICE/NAME"

_NAME = re.compile(
    r"(secret|password|passphrase|api_?key|private_?key|access_?token|auth_?token|mnemonic)$", re.IGNORECASE
)
_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|keyring:[^/\s]+/\S+", re.ASCII)
# A key in a file's form, and a password in an address.
_TEXT = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY|\w://[^/\s:@]*:[^/\s@]+@")


def is_secret_name(name: str) -> bool:
    """
    Return whether a field of this name holds a secret.

    Examples
    --------
    >>> is_secret_name("api_secret"), is_secret_name("instrument_id")
    (True, False)

    """
    return _NAME.search(name) is not None


def is_reference(text: str) -> bool:
    """Return whether a text stands for a secret: ``env:NAME`` or ``keyring:SERVICE/NAME``."""
    return _REFERENCE.fullmatch(text) is not None


def is_secret_text(text: str) -> bool:
    """Return whether a text is a secret wherever it stands: a private key, or an address with a password in it."""
    return _TEXT.search(text) is not None
