"""Changes that take two calls: the token of the second is good for one change, one person, one minute and one use."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec

__all__ = ["LIFE_SECS", "Confirmations"]

LIFE_SECS = 60.0
_NONCE = 16
_HEAD = struct.Struct(f">{_NONCE}sQ")
_MAX_TEXT = 200


class Confirmations:
    """
    Gives out tokens and takes them back; may be used from any thread. It knows nothing of what is confirmed.

    A token is ``nonce, end of its life, HMAC-SHA256(secret; nonce, end, person, change)``. The secret lives as long as
    the server: what was asked of one that has died must be asked again.

    Parameters
    ----------
    secret : bytes, optional
        Default: a new one.
    clock : Callable returning float
        The time in seconds; it must not jump.
    life_secs : float
        How long a token is good.

    """

    def __init__(
        self,
        *,
        secret: bytes | None = None,
        clock: Callable[[], float] = time.monotonic,
        life_secs: float = LIFE_SECS,
    ) -> None:
        self._secret = secrets.token_bytes(32) if secret is None else secret
        self._clock = clock
        self._life_secs = life_secs
        self._used: dict[bytes, int] = {}
        self._lock = threading.Lock()

    def issue(self, change: Any, user: str) -> str:
        """Return the token with which `user` confirms `change`, which is made of plain values."""
        nonce = secrets.token_bytes(_NONCE)
        head = _HEAD.pack(nonce, self._now_ms() + int(self._life_secs * 1_000))
        return base64.urlsafe_b64encode(head + self._sign(head, change, user)).decode()

    def redeem(self, token: str, change: Any, user: str) -> str:
        """
        Take a token, which is then used up.

        Returns
        -------
        str
            Why it is not good for this; nothing if it is.

        """
        try:
            content = base64.b64decode(token[:_MAX_TEXT].encode(), altchars=b"-_", validate=True)
            nonce, end_ms = _HEAD.unpack(content[: _HEAD.size])
        except (binascii.Error, struct.error, ValueError):
            return "it is no token of this server"
        head, signature = content[: _HEAD.size], content[_HEAD.size :]
        if not hmac.compare_digest(signature, self._sign(head, change, user)):
            return "it was given for another change, or to somebody else, or the state has changed meanwhile"
        now = self._now_ms()
        if now >= end_ms:
            return f"it was good for {self._life_secs:g} s"
        with self._lock:
            self._used = {one: end for one, end in self._used.items() if end > now}
            if nonce in self._used:
                return "it has been used"
            self._used[nonce] = end_ms
        return ""

    def _now_ms(self) -> int:
        return int(self._clock() * 1_000)

    def _sign(self, head: bytes, change: Any, user: str) -> bytes:
        # As one list: no two pairs of a name and a change make the same text.
        text = msgspec.json.encode([user, change], order="sorted")
        return hmac.new(self._secret, head + text, hashlib.sha256).digest()
