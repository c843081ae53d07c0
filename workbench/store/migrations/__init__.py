"""The way from each version of the database to the next, run by Alembic."""

from __future__ import annotations
