"""The sweep lane: what in a household's ledger a person should look at, each raised as a signal, once.

A finding's signal id derives from what was found, not from the run: a second sweep writes the same row and so raises
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mosaic_core.computing import compute
from mosaic_core.concurrency import each
from mosaic_core.domain import ids
from mosaic_core.domain.envelope import NightlyAnomalySweep
from mosaic_core.domain.errors import LaneError
from mosaic_core.domain.lifecycle import Severity
from mosaic_core.domain.records import Signal
from mosaic_core.domain.transactions import Finding
from mosaic_core.lanes.context import LaneContext, LaneResult, succeeded
from mosaic_core.lanes.household import ledger_up_to
from mosaic_core.ledger.anomalies import find_anomalies, finding_key

EXECUTOR: Final = "sweep-lane/1"


async def sweep_lane(context: LaneContext) -> LaneResult:
    payload = context.envelope.payload
    if not isinstance(payload, NightlyAnomalySweep):
        raise LaneError("the sweep lane was given another command", code="unsupported_command_type")
    async with context.log.stage("load_ledger", EXECUTOR) as stage:
        # the whole history: what is usual for a merchant is older than what is being looked at
        transactions = await ledger_up_to(context.stores, payload.household_id, payload.sweep_date)
        stage.succeed("loaded", f"{len(transactions)} transactions up to {payload.sweep_date}")
    async with context.log.stage("detect", EXECUTOR) as stage:
        # a thread: a second of arithmetic must not hold up the other deliveries of this worker
        findings = await compute(
            find_anomalies, transactions, as_of=payload.sweep_date, lookback_days=payload.lookback_days
        )
        stage.succeed(
            "detected",
            _counts(findings),
            confidence=min((f.confidence for f in findings), default=1.0),
            provenance=tuple(sorted({i for f in findings for i in f.transaction_ids})),
        )
    async with context.log.stage("raise_signals", EXECUTOR) as stage:
        new = await _raise(context, payload.household_id, findings)
        stage.succeed("raised", f"{new} new of {len(findings)} findings")
    return succeeded("swept", f"{_counts(findings)}; {new} new")


async def _raise(context: LaneContext, household_id: str, findings: Sequence[Finding]) -> int:
    """Insert the signal of each finding that has none; how many were new. A night that finds what is known already
    writes nothing: its signal is there, under whatever day it is listed."""
    signals = context.stores.signals
    listed = await signals.listed_findings(household_id) if findings else {}

    async def insert(finding: Finding) -> bool:
        signal_id = ids.finding_signal_id(household_id, finding_key(household_id, finding))
        known = listed.get(signal_id)
        if known is None or not known.issuperset(finding.transaction_ids):
            # before the signal, so that no signal is without it; what older versions raised is listed here as well
            await signals.index_finding(
                household_id, signal_id, day=finding.date, transaction_ids=finding.transaction_ids
            )
        if await signals.read(signal_id) is not None:
            return False
        signal = Signal(
            signal_id=signal_id,
            queue=context.queue,
            signal_code=finding.kind.value,
            severity=Severity(finding.severity),
            summary=finding.explanation[:200],
            requires_human_review=True,
            raised_at=context.now(),
            run_id=context.run_id,
            command_id=context.envelope.command_id,
            correlation_id=ids.clean(context.envelope.correlation_id),
            household_id=household_id,
        )
        return await signals.insert(signal) is not None

    return sum(await each(findings, insert))


def _counts(findings: Sequence[Finding]) -> str:
    kinds = sorted({f.kind for f in findings})
    listed = ", ".join(f"{sum(f.kind == kind for f in findings)} {kind}" for kind in kinds)
    return listed or "nothing unusual"
