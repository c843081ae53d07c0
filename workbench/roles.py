"""Who may do what: roles, permissions, and the table between them."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Permission", "Role", "is_allowed"]


class Role(StrEnum):
    """What a person is here for. Every role may look."""

    VIEWER = "viewer"
    RESEARCHER = "researcher"
    APPROVER = "approver"
    TRADER = "trader"
    ADMIN = "admin"


class Permission(StrEnum):
    """What a route of the server asks for."""

    VIEW = "view"
    RESEARCH = "research"
    APPROVE = "approve"
    TRADE = "trade"
    ADMINISTER = "administer"


_GRANTS: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: frozenset({Permission.VIEW}),
    Role.RESEARCHER: frozenset({Permission.VIEW, Permission.RESEARCH}),
    Role.APPROVER: frozenset({Permission.VIEW, Permission.APPROVE}),
    Role.TRADER: frozenset({Permission.VIEW, Permission.TRADE}),
    Role.ADMIN: frozenset(Permission),
}


def is_allowed(role: Role, permission: Permission) -> bool:
    """Return whether somebody with `role` may do what `permission` stands for."""
    return permission in _GRANTS[role]
