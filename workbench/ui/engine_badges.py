"""How an engine's states are written: badges, dots, the words of a policy; colour only underlines them."""

from __future__ import annotations

from html import escape

from workbench.engine_records import EmergencyAction, EmergencyPolicy, EmergencyScope
from workbench.ui.engine_sight import Sight

__all__ = ["build_badge", "build_dot", "build_environment", "build_state", "describe_policy"]

_KINDS = {
    "RUNNING": "ok",
    "ACTIVE": "ok",
    "STARTING": "warn",
    "STOPPING": "warn",
    "REDUCING": "warn",
    "DEGRADED": "warn",
    "STOPPED": "mute",
    "CRASHED": "bad",
    "FAILED": "bad",
    "FAULTED": "bad",
    "LIQUIDATING": "bad",
    "HALTED": "bad",
}


def build_badge(text: str, kind: str, *, hint: str = "") -> str:
    """Return a badge with a dot; `kind` is ``ok``, ``warn``, ``bad`` or ``mute``."""
    title = f" title='{escape(hint, quote=True)}'" if hint else ""
    return f"<span class='wb-badge {kind}'{title}>{build_dot(kind)}{escape(text)}</span>"


def build_dot(kind: str) -> str:
    """Return a dot in the colour of `kind`."""
    return f"<i class='wb-dot {kind}' aria-hidden='true'></i>"


def build_state(state: str, *, is_fresh: bool = True) -> str:
    """Return the badge of a state of an engine, a strategy or a gate."""
    kind = _KINDS.get(state, "mute")
    return build_badge(state or "UNKNOWN", kind if is_fresh or kind == "bad" else "mute")


def build_environment(sight: Sight) -> str:
    """Return the badge of the environment: LIVE is filled, SANDBOX is not."""
    if sight.is_live:
        return "<span class='wb-badge live' title='Real orders leave this engine'>LIVE</span>"
    if not sight.environment:
        return ""
    return "<span class='wb-badge sandbox' title='Orders are matched on this machine; none leaves it'>SANDBOX</span>"


def describe_policy(policy: EmergencyPolicy | None) -> str:
    """Return in words what an emergency stop does."""
    if policy is None:
        return "shuts the gate, then does what its configuration says"
    is_own = policy.scope == EmergencyScope.STRATEGIES
    whose = "of its own strategies" if is_own else "of the whole account"
    if policy.action == EmergencyAction.CANCEL_ONLY:
        return f"cancels all orders {whose}; positions stay open"
    return f"cancels all orders and closes the positions {whose}"
