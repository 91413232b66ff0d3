"""Who a verified caller is in a household. Household and user come from here, never from a request's body."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mosaic_core.domain.errors import Detail, RequestError
from mosaic_core.domain.ids import normalise_guid
from mosaic_core.domain.membership import Right, allows, allows_source, is_active
from mosaic_core.domain.records import Membership
from mosaic_core.ports import MemberStore, Principal

CHOICE_HEADER: Final = "X-Mosaic-Household-User-Id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A verified caller as a user of one household."""

    principal: Principal
    household_id: str
    household_user_id: str
    membership: Membership

    def check_source(self, source: str) -> None:
        """Raises `RequestError` ``role_required`` where the caller may not ingest what that source reports."""
        if not allows_source(self.membership, source):
            raise RequestError(
                "role_required", "the membership does not let the caller ingest what this source reports"
            )


@dataclass(frozen=True, slots=True)
class MembershipService:
    """Memberships that are not active do not count. What one allows is in `domain.membership`; one that does not allow
    what is asked for is a `RequestError` ``role_required``."""

    members: MemberStore

    async def caller(self, principal: Principal, right: Right, chosen: str = "") -> Caller:
        """The caller's household. ``chosen`` is a household user id, needed only where there are several memberships.

        Raises `RequestError`: ``member_context_invalid`` (``chosen`` is no GUID) or ``member_context_ambiguous``,
        403 ``membership_access_denied`` or ``role_required``.
        """
        wanted = _guid(chosen)
        found = await self._active(principal)
        if wanted:
            found = [membership for membership in found if membership.household_user_id == wanted]
        if not found:
            raise RequestError("membership_access_denied", "the caller is no active member of such a household")
        if len(found) > 1:
            raise RequestError(
                "member_context_ambiguous",
                f"the caller has several memberships; choose one by the header {CHOICE_HEADER}",
            )
        return _as(principal, found[0], right)

    async def in_household(self, principal: Principal, right: Right, household_id: str) -> Caller:
        """The caller as a member of this very household; of several memberships there, by one that has the right.

        Raises `RequestError`: ``membership_access_denied`` for who is a member of none, ``not_found`` for who
        is a member elsewhere, whether or not this household exists; ``role_required``.
        """
        found = await self._active(principal)
        if not found:
            raise RequestError("membership_access_denied", "the caller is no active member of any household")
        here = [membership for membership in found if membership.household_id == household_id]
        if here:
            return _as(principal, next((m for m in here if allows(m, right)), here[0]), right)
        raise RequestError("not_found", "there is no such household")

    async def _active(self, principal: Principal) -> list[Membership]:
        return [m for m in await self.members.of_subject(principal.subject) if is_active(m)]


def _as(principal: Principal, membership: Membership, right: Right) -> Caller:
    if not allows(membership, right):
        raise RequestError("role_required", f"the caller's membership does not allow to {right}")
    return Caller(
        principal=principal,
        household_id=membership.household_id,
        household_user_id=membership.household_user_id,
        membership=membership,
    )


def _guid(chosen: str) -> str:
    if not chosen:
        return ""
    try:
        return normalise_guid(chosen)
    except ValueError as error:
        raise RequestError(
            "member_context_invalid", f"the header {CHOICE_HEADER} is no GUID", [Detail(CHOICE_HEADER, str(error))]
        ) from None
