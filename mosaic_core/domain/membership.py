"""What a member of a household may do, by role: the one table that API and worker judge by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from mosaic_core.domain.records import Membership

ACTIVE: Final = "active"


class Role(StrEnum):
    """Of a membership; the roles of a token are another matter."""

    MEMBER = "Member"
    INGEST = "Ingest"
    VIEWER = "Viewer"


class Right(StrEnum):
    READ = "read"
    ASK = "ask"
    DECIDE = "decide"
    INGEST = "ingest"


RIGHTS: Final[Mapping[Role, frozenset[Right]]] = {
    Role.MEMBER: frozenset(Right),
    Role.INGEST: frozenset({Right.INGEST}),
    Role.VIEWER: frozenset({Right.READ}),
}
"""A member ingests whatever the source, an ingest membership its own source only. (The API wants the token's role
``Mosaic.Ingest`` of both.)"""

_ROLES: Final[Mapping[str, Role]] = {**{role.lower(): role for role in Role}, "owner": Role.MEMBER}
"""As they are spelt in rows; ``owner`` and ``member`` are an earlier version's."""


def role_of(membership: Membership) -> Role | None:
    """None for a role that nobody knows: it allows nothing."""
    return _ROLES.get(membership.role.strip().lower())


def is_active(membership: Membership) -> bool:
    return membership.status.lower() == ACTIVE


def allows(membership: Membership, right: Right) -> bool:
    """Whether it does now."""
    role = role_of(membership)
    return is_active(membership) and role is not None and right in RIGHTS[role]


def allows_source(membership: Membership, source: str) -> bool:
    """Whether it may ingest what ``source`` reports."""
    own = role_of(membership) != Role.INGEST or (bool(membership.source) and membership.source == source)
    return own and allows(membership, Right.INGEST)


def producer_subject(household_id: str, source: str) -> str:
    """Whose ingest membership says that the household lets the source send past the API: no token's, so that to let a
    feed call the API is one thing and to let whoever may send to the queue speak for it another."""
    return f"source:{household_id}:{source}"


def lists_source(memberships: Iterable[Membership], household_id: str, source: str) -> bool:
    """Whether the household lets that source send past the API, by the memberships of `producer_subject`."""
    return any(
        m.household_id == household_id and role_of(m) == Role.INGEST and allows_source(m, source) for m in memberships
    )


def may_decide(memberships: Iterable[Membership], household_id: str, household_user_id: str) -> bool:
    """Whether one of a subject's memberships is that user's of that household, and lets them decide."""
    return any(
        m.household_id == household_id and m.household_user_id == household_user_id and allows(m, Right.DECIDE)
        for m in memberships
    )
