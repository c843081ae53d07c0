"""The way to the workspace's server: HTTP for what is asked, a WebSocket for what happens."""

from __future__ import annotations
