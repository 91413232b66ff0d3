"""Who belongs to a household: operators add, list and remove. Nothing is erased: a removed membership opens nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from mosaic_core.domain.errors import RequestError, StoreUnreachableError
from mosaic_core.domain.membership import ACTIVE, Right, Role, allows, role_of
from mosaic_core.domain.records import Membership
from mosaic_core.ports import Clock, ETag, Stores
from mosaic_core.services.operators.auditing import record
from mosaic_core.services.operators.operator_views import ChangedMember, Member, Members

REMOVED: Final = "removed"
_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class MemberChanges:
    stores: Stores
    clock: Clock

    async def all(self, household_id: str) -> Members:
        """Those that were added by this or an earlier version's seed; one that was written by hand is listed once it
        has been added here as well."""
        found = await self.stores.members.of_household(household_id)
        found.sort(key=lambda one: (one.household_user_id, one.subject))
        return Members(household_id=household_id, members=[_told(one) for one in found])

    async def put(self, wanted: Membership, *, by: str, reason: str) -> ChangedMember:
        """As it is wanted, active; the same again changes nothing.

        Raises `RequestError`: ``member_elsewhere`` where subject and user are another household's,
        ``member_source_invalid``, ``last_member`` where nobody could decide there any more."""
        if (role_of(wanted) == Role.INGEST) != bool(wanted.source):
            raise RequestError("member_source_invalid", "the role Ingest, and no other, has a source")
        members = self.stores.members
        for _ in range(_TRIES):
            if await members.insert(wanted):
                return await self._changed(wanted, "member_added", by, reason)
            stored = await members.read(wanted.subject, wanted.household_user_id)
            if stored is None:
                continue
            there = stored.value
            if there.household_id != wanted.household_id:
                raise RequestError(
                    "member_elsewhere",
                    "this subject has this user id in another household; choose another user id",
                )
            changed = replace(wanted, created_at=there.created_at)
            if changed == replace(there, status=there.status.lower()):
                return ChangedMember(is_changed=False, member=_told(there))
            if await self._written(there, changed, stored.etag):
                return await self._changed(changed, "member_changed", by, reason)
        raise StoreUnreachableError("the membership is written to without end; repeat the request")

    async def remove(
        self, household_id: str, household_user_id: str, subject: str, *, by: str, reason: str
    ) -> ChangedMember:
        """Raises `RequestError`: ``not_found`` also for what is another household's, ``last_member``."""
        members = self.stores.members
        for _ in range(_TRIES):
            stored = await members.read(subject, household_user_id)
            if stored is None or stored.value.household_id != household_id:
                raise RequestError("not_found", "there is no such membership")
            there = stored.value
            if there.status == REMOVED:
                # whoever removed it may have died before they looked again
                await self._look_again(replace(there, status=ACTIVE), there, stored.etag)
                return ChangedMember(is_changed=False, member=_told(there))
            removed = replace(there, status=REMOVED)
            if await self._written(there, removed, stored.etag):
                return await self._changed(removed, "member_removed", by, reason)
        raise StoreUnreachableError("the membership is written to without end; repeat the request")

    async def _written(self, there: Membership, after: Membership, etag: ETag) -> bool:
        """False: somebody else wrote the row first. Raises `RequestError` 409 ``last_member``: looked at before, so
        that nothing is written in vain; and after, since two who go at the same time each see the other stay."""
        if not allows(there, Right.DECIDE) or allows(after, Right.DECIDE):
            return await self.stores.members.update(after, etag) is not None
        if not await self._can_decide(there.household_id, but=there):
            raise _last_member()
        written = await self.stores.members.update(after, etag)
        if written is None:
            return False
        await self._look_again(there, after, written)
        return True

    async def _look_again(self, before: Membership, after: Membership, etag: ETag) -> None:
        """Puts the row back where nobody is left who can decide. Of two who took the last two out, whoever looks last
        sees it; both may, and then both stay. A row that was written since is looked at by whoever wrote it."""
        if not allows(before, Right.DECIDE) or await self._can_decide(after.household_id, but=after):
            return
        await self.stores.members.update(before, etag)
        raise _last_member()

    async def _can_decide(self, household_id: str, *, but: Membership) -> bool:
        """Whether anybody but this one can: what waits for a household's word must not wait for nobody."""
        return any(
            allows(one, Right.DECIDE)
            for one in await self.stores.members.of_household(household_id)
            if (one.subject, one.household_user_id) != (but.subject, but.household_user_id)
        )

    async def _changed(self, member: Membership, action: str, by: str, reason: str) -> ChangedMember:
        await record(
            self.stores.decisions,
            about=f"members:{member.household_id}",
            household_id=member.household_id,
            by=by,
            action=action,
            reason=f"{member.household_user_id} {member.role}: {reason}",
            at=self.clock.now(),
        )
        return ChangedMember(is_changed=True, member=_told(member))


def membership(
    *, household_id: str, household_user_id: str, subject: str, role: Role, source: str, clock: Clock
) -> Membership:
    return Membership(
        subject=subject,
        household_id=household_id,
        household_user_id=household_user_id,
        role=role,
        status=ACTIVE,
        created_at=clock.now(),
        source=source,
    )


def _last_member() -> RequestError:
    return RequestError(
        "last_member",
        "this is the household's last member who can decide; add another one first (members that were written by hand "
        "count once they are added here)",
    )


def _told(member: Membership) -> Member:
    return Member(
        household_id=member.household_id,
        household_user_id=member.household_user_id,
        subject=member.subject,
        role=member.role,
        status=member.status,
        source=member.source or None,
        created_at_utc=member.created_at,
    )
