"""The page that a kernel of the app serves: known at its start, or only when somebody comes."""

from __future__ import annotations

import threading
from urllib.parse import parse_qsl

from workbench.config import Settings

__all__ = ["read_query", "wait_for_page"]

_POLL_SECS = 0.01


def wait_for_page(settings: Settings) -> None:
    """Wait until this kernel's page is there, and with it the person for whom it acts; elsewhere return at once."""
    if settings.page_file is None:
        return
    pause = threading.Event()
    while not settings.page_file.exists():
        pause.wait(_POLL_SECS)


def read_query(settings: Settings) -> dict[str, str]:
    """
    Return what the address of this kernel's page asks for, by name.

    A kernel that was started ahead waits until its page is there.
    """
    wait_for_page(settings)
    query = settings.query if settings.page_file is None else settings.page_file.read_text()
    return dict(parse_qsl(query))
