"""One file for each version of the database."""

from __future__ import annotations
