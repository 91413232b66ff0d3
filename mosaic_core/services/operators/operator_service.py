"""All of it behind one name, as the entrypoints ask for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from mosaic_core.domain.lanes import LOOKBACK_DAYS, Lane
from mosaic_core.domain.lifecycle import ApprovalStatus
from mosaic_core.ports import Clock, Stores
from mosaic_core.services.approval_pages import LARGEST_PAGE, page_of
from mosaic_core.services.operators import record_views
from mosaic_core.services.operators.cancelling import Cancelling
from mosaic_core.services.operators.commands import CommandReads
from mosaic_core.services.operators.lane_states import LaneReads
from mosaic_core.services.operators.members import MemberChanges
from mosaic_core.services.operators.operator_views import OperatorApprovals
from mosaic_core.services.operators.pausing import LanePausing
from mosaic_core.services.operators.review_queue import SignalReads
from mosaic_core.services.operators.runs import RunReads
from mosaic_core.services.operators.trace import TraceReads
from mosaic_core.services.worker import Worker


@dataclass(frozen=True)
class OperatorService:
    """Raises `StoreUnreachableError` where the tables do not answer. ``queues`` are the lanes' real names; ``worker``,
    which the deliveries of this app work with, is asked for by what ends a command: reads need no hub.
    ``sweep_lookback_days``: of a sweep that is asked for without saying."""

    stores: Stores
    clock: Clock
    queues: Mapping[Lane, str]
    worker: Callable[[], Worker] | None = None
    sweep_lookback_days: int = LOOKBACK_DAYS

    @cached_property
    def commands(self) -> CommandReads:
        return CommandReads(self.stores)

    @cached_property
    def runs(self) -> RunReads:
        return RunReads(self.stores, self.clock, self.queues)

    @cached_property
    def signals(self) -> SignalReads:
        return SignalReads(self.stores, self.clock, self.queues)

    @cached_property
    def lanes(self) -> LaneReads:
        return LaneReads(self.stores, self.clock, self.queues)

    @cached_property
    def pausing(self) -> LanePausing:
        return LanePausing(self.stores, self.clock)

    @cached_property
    def cancelling(self) -> Cancelling:
        assert self.worker is not None, "whoever cancels takes the key over, as any worker does"
        return Cancelling(**self.worker().parts(), queues=self.queues)

    @cached_property
    def members(self) -> MemberChanges:
        return MemberChanges(self.stores, self.clock)

    @cached_property
    def traces(self) -> TraceReads:
        return TraceReads(self.stores, self.runs)

    async def approvals(
        self, household_id: str, status: ApprovalStatus | None, *, limit: int = LARGEST_PAGE, after: str = ""
    ) -> OperatorApprovals:
        """A page of those of one household that are in ``status`` now; None: of all."""
        now = self.clock.now()
        page = await page_of(self.stores, household_id, status, now, limit=limit, after=after)
        return OperatorApprovals(
            as_of_utc=now,
            approvals=[record_views.approval_of(approval, now) for approval in page.approvals],
            next_cursor=page.following,
        )
