"""The command line: ``workbench ...``."""

from __future__ import annotations
