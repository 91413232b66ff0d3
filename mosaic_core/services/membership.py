"""Who a verified caller is in a household. Household and user come from here, never from a request's body."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mosaic_core.domain.errors import Detail, RequestError
from mosaic_core.domain.ids import normalise_guid
from mosaic_core.domain.records import Membership
from mosaic_core.ports import MemberStore, Principal

CHOICE_HEADER: Final = "X-Mosaic-Household-User-Id"
ACTIVE: Final = "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A verified caller as a user of one household."""

    principal: Principal
    household_id: str
    household_user_id: str


@dataclass(frozen=True, slots=True)
class MembershipService:
    """Memberships that are not active do not count."""

    members: MemberStore

    async def caller(self, principal: Principal, chosen: str = "") -> Caller:
        """The caller's household. ``chosen`` is a household user id, needed only where there are several memberships.

        Raises `RequestError`: 401 ``member_context_invalid`` (``chosen`` is no GUID) or ``member_context_ambiguous``,
        403 ``membership_access_denied``.
        """
        wanted = _guid(chosen)
        found = await self._active(principal)
        if wanted:
            found = [membership for membership in found if membership.household_user_id == wanted]
        if not found:
            raise RequestError(403, "membership_access_denied", "the caller is no active member of such a household")
        if len(found) > 1:
            raise RequestError(
                401,
                "member_context_ambiguous",
                f"the caller has several memberships; choose one by the header {CHOICE_HEADER}",
            )
        return _as(principal, found[0])

    async def in_household(self, principal: Principal, household_id: str) -> Caller:
        """The caller as a member of this very household.

        Raises `RequestError`: 403 ``membership_access_denied`` for who is a member of none, 404 ``not_found`` for who
        is a member elsewhere, whether or not this household exists.
        """
        found = await self._active(principal)
        if not found:
            raise RequestError(403, "membership_access_denied", "the caller is no active member of any household")
        for membership in found:
            if membership.household_id == household_id:
                return _as(principal, membership)
        raise RequestError(404, "not_found", "there is no such household")

    async def _active(self, principal: Principal) -> list[Membership]:
        return [m for m in await self.members.of_subject(principal.subject) if m.status.lower() == ACTIVE]


def _as(principal: Principal, membership: Membership) -> Caller:
    return Caller(
        principal=principal,
        household_id=membership.household_id,
        household_user_id=membership.household_user_id,
    )


def _guid(chosen: str) -> str:
    if not chosen:
        return ""
    try:
        return normalise_guid(chosen)
    except ValueError as error:
        raise RequestError(
            401, "member_context_invalid", f"the header {CHOICE_HEADER} is no GUID", [Detail(CHOICE_HEADER, str(error))]
        ) from None
