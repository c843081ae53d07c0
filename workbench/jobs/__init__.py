"""Work in child processes: one task at a time, with progress, pause, cancel and a hard end."""

from __future__ import annotations
