"""What became of one command, read from where it is stored: tables, dead-letter queues."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from azure.servicebus import ServiceBusReceivedMessage

from mosaic_core.domain import ids
from mosaic_core.domain.lifecycle import KeyStatus
from mosaic_core.domain.records import Decision, Key, Run, Signal, Stage
from mosaic_core.ports import Stores


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A command that the demo sent: the step it belongs to, and where it went."""

    step: str
    queue: str
    command_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """Rows of one command as they stand now. ``settlement`` is ``completed`` or ``dead-lettered: reason``."""

    sent: Sent
    key: Key | None
    run: Run | None
    stages: Sequence[Stage]
    signals: Sequence[Signal]
    decisions: Sequence[Decision]
    settlement: str
    description: str

    @property
    def failure(self) -> Signal | None:
        return next((s for s in self.signals if s.signal_code == "worker_command_failed"), None)

    def signal(self, code: str) -> Signal | None:
        return next((s for s in self.signals if s.signal_code == code), None)


async def ended(stores: Stores, sent: Sequence[Sent], *, seconds: float) -> None:
    """Wait until every command's key is terminal. Raises TimeoutError that names those that are not."""

    async def final(one: Sent) -> bool:
        stored = await stores.keys.read(one.queue, one.command_id)
        return stored is not None and stored.value.status in (KeyStatus.COMPLETED, KeyStatus.REJECTED)

    waiting = list(sent)
    try:
        async with asyncio.timeout(seconds):
            while waiting:
                states = await asyncio.gather(*map(final, waiting))
                waiting = [one for one, done in zip(waiting, states, strict=True) if not done]
                if waiting:
                    await asyncio.sleep(0.1)
    except TimeoutError:
        steps = ", ".join(f"{one.step} ({one.command_id})" for one in waiting)
        raise TimeoutError(f"not at an end after {seconds:.0f} s: {steps}") from None


async def read(stores: Stores, sent: Sent, dead: Sequence[tuple[str, ServiceBusReceivedMessage]]) -> Journey:
    run_id = ids.run_id(sent.queue, sent.command_id)
    key, run, stages, signals, decisions = await asyncio.gather(
        stores.keys.read(sent.queue, sent.command_id),
        stores.runs.read(run_id),
        stores.stages.of_run(run_id),
        stores.signals.of_run(run_id),
        stores.decisions.of_run(run_id),
    )
    buried = next((m for queue, m in dead if queue == sent.queue and m.message_id == sent.command_id), None)
    return Journey(
        sent=sent,
        key=key.value if key else None,
        run=run.value if run else None,
        stages=stages,
        signals=signals,
        decisions=decisions,
        settlement=f"dead-lettered: {buried.dead_letter_reason}" if buried else "completed",
        description=(buried.dead_letter_error_description or "") if buried else "",
    )
