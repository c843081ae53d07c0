"""The app that Voila serves: its look, who is signed in, and whose each kernel is."""

from __future__ import annotations

__all__: list[str] = []
