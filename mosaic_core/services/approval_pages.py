"""A household's approvals, a page at a time: what its members and operators are shown is cut from the same pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mosaic_core.concurrency import each
from mosaic_core.domain.lifecycle import ApprovalStatus
from mosaic_core.domain.policy import approval as approvals_of
from mosaic_core.domain.records import Approval
from mosaic_core.ports import Stores

LARGEST_PAGE: Final = 200
LOOKED_AT: Final = 200
"""Listed approvals that one page looks at: a state that few are in costs pages, never a scan."""

AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class ApprovalPage:
    """``following`` is the place to go on after; None: there is no more."""

    approvals: list[Approval]
    following: str | None


def status_of(approval: Approval, now: datetime) -> ApprovalStatus:
    """Its state now: one whose time is over is expired, whether or not somebody has noticed."""
    is_over = approval.status == ApprovalStatus.PENDING and approvals_of.is_over(approval, now)
    return ApprovalStatus.EXPIRED if is_over else approval.status


async def page_of(
    stores: Stores, household_id: str, status: ApprovalStatus | None, now: datetime, *, limit: int, after: str = ""
) -> ApprovalPage:
    """At most ``limit`` that are in ``status`` now (None: any), newest first, of the next `LOOKED_AT` that are listed
    after the place ``after``."""
    found: list[Approval] = []
    looked_at, last, is_over = 0, after, False
    listed = stores.approvals.listed(household_id, pending=status == ApprovalStatus.PENDING, after=after)
    while len(found) < limit and looked_at < LOOKED_AT and not is_over:
        # never fewer than go side by side: what few match would be read one after the other
        ahead = min(max(limit - len(found), AT_ONCE), LOOKED_AT - looked_at)
        places = [place async for place in take(listed, ahead)]
        is_over = len(places) < ahead
        read = await each(
            [place.approval_id for place in places],
            lambda approval_id: stores.approvals.read(household_id, approval_id),
            at_once=AT_ONCE,
        )
        for place, stored in zip(places, read, strict=True):
            if len(found) == limit:
                is_over = False
                break
            looked_at, last = looked_at + 1, place.place
            # one that was cut off between list and row is listed under two times
            if (
                stored is not None
                and stored.value.created_at == place.created_at
                and status in (None, status_of(stored.value, now))
            ):
                found.append(stored.value)
    return ApprovalPage(found, None if is_over else last)


async def take[T](source: AsyncIterator[T], count: int) -> AsyncIterator[T]:
    """The next ``count`` of ``source``, or what is left of it."""
    for _ in range(count):
        try:
            yield await anext(source)
        except StopAsyncIteration:
            return
