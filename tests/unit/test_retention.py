"""What is past its date goes, a bounded piece at each tick; what is live, open or a record of decisions stays."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, cast

import pytest

from mosaic_core.domain import ids, signals
from mosaic_core.domain.errors import StoreUnreachableError
from mosaic_core.domain.lifecycle import ApprovalStatus, AttemptOutcome, KeyStatus, RunStatus
from mosaic_core.domain.records import Command, OutboxEntry
from mosaic_core.ports import Stored, Stores
from mosaic_core.services import retention as module
from mosaic_core.services.retention import Ages, Retention, RetentionReport
from mosaic_ops.memory.messaging import ManualClock
from mosaic_ops.memory.stores import memory_stores
from tests.support import records
from tests.support.faults import KINDS, Kind, Plan, ProcessDied, faulty_stores

QUEUE = "runtime-agent-message-posted"
HOUSEHOLD = "a11ce000000000000000000000000001"
CONVERSATION = "c0000000000000000000000000000001"


@dataclass
class Kept:
    clock: ManualClock = field(default_factory=lambda: ManualClock(records.NOW))

    def __post_init__(self) -> None:
        self.stores: Stores = memory_stores(self.clock)

    def retention(self, stores: Stores | None = None, ages: Ages | None = None) -> Retention:
        return Retention(stores=stores or self.stores, clock=self.clock, ages=ages or Ages())

    async def command(
        self,
        number: int,
        *,
        age_days: float = 100,
        outcome: AttemptOutcome = AttemptOutcome.SUCCEEDED,
        key: KeyStatus | None = None,
        final: bool = True,
        batch_blob: str = "",
    ) -> Command:
        """With all that a worker leaves of it."""
        at = self.clock.now() - timedelta(days=age_days)
        return await leave(self.stores, number, at, outcome=outcome, key=key, final=final, batch_blob=batch_blob)

    async def until_level(self, *, most: int = 50) -> int:
        """Ticks until one removes nothing; how many that took."""
        for ticks in range(1, most):
            if (await self.retention().tick()).removed == 0:
                return ticks
            self.clock.advance(600)
        raise AssertionError("never level")

    def rows(self) -> dict[str, int]:
        """How many rows there are, by store."""
        parts: dict[str, Any] = {
            name: getattr(self.stores, name)
            for name in ("commands", "keys", "runs", "stages", "signals", "decisions", "approvals", "conversations")
        }
        counted = {name: len(list(part.table.under())) for name, part in parts.items()}
        commands, found = cast("Any", self.stores.commands), cast("Any", self.stores.signals).findings
        lists = {"listed": commands.index, "of_queue": commands.lists, "findings": found}
        return counted | {name: len(list(table.under())) for name, table in lists.items()}


async def leave(
    stores: Stores,
    number: int,
    at: datetime,
    *,
    outcome: AttemptOutcome = AttemptOutcome.SUCCEEDED,
    key: KeyStatus | None = None,
    final: bool = True,
    batch_blob: str = "",
) -> Command:
    command_id = f"{number:032x}"
    run_id = ids.run_id(QUEUE, command_id)
    failed = outcome == AttemptOutcome.FAILED
    payload: dict[str, Any] = {"conversationId": CONVERSATION, "householdId": HOUSEHOLD}
    if batch_blob:
        payload["transactionsBlob"] = batch_blob
    command = replace(
        records.COMMAND,
        command_id=command_id,
        household_id=HOUSEHOLD,
        envelope=json.dumps({"correlationId": "x", "payload": payload}),
        recorded_at=at,
    )
    status = key or (KeyStatus.REJECTED if failed else KeyStatus.COMPLETED)
    run = replace(
        records.RUN,
        run_id=run_id,
        command_id=command_id,
        household_id=HOUSEHOLD,
        status=RunStatus.NEEDS_REVIEW if failed else RunStatus.COMPLETED,
        is_final=final,
        attempt_outcome=outcome,
        created_at=at,
        last_modified_at=at,
        completed_at=at if final else None,
    )
    await stores.commands.insert(command)
    await stores.commands.index_conversation(HOUSEHOLD, CONVERSATION, at, QUEUE, command_id)
    await stores.commands.list_recorded(command)
    await stores.keys.insert(
        replace(
            records.KEY,
            command_id=command_id,
            run_id=run_id,
            status=status,
            created_at=at,
            expires_at=at + timedelta(days=7),
            finalized_at=None if status == KeyStatus.RESERVED else at,
        )
    )
    await stores.runs.insert(run)
    await stores.stages.insert_all([replace(records.STAGE, run_id=run_id, order=order) for order in (1, 2)])
    await stores.decisions.insert(replace(records.DECISION, run_id=run_id, decision_id=command_id))
    if failed:
        failure = signals.command_failed(run, message_id=command_id, attempt=5, now=at)
        await stores.signals.insert(failure)
    return command


async def resolve_all(kept: Kept, signal_ids: Sequence[str]) -> None:
    for signal_id in signal_ids:
        stored = await kept.stores.signals.read(signal_id)
        assert stored is not None
        resolved = signals.resolve(stored.value, by="operator", note="seen", now=kept.clock.now())
        assert await kept.stores.signals.update(resolved, stored.etag)


@pytest.fixture
def kept() -> Kept:
    return Kept()


async def test_ten_thousand_expired_commands_are_levelled_a_bounded_piece_at_a_time(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS", 2_000)
    for number in range(1, 10_001):
        await kept.command(number)
    live = [await kept.command(number, age_days=89) for number in range(20_001, 20_051)]
    plan = Plan()
    report = await kept.retention(faulty_stores(kept.stores, plan)).tick()
    assert report.removed <= 3 * module.ROWS
    assert len(plan.log) <= 40 * module.ROWS
    assert plan.log.count("aged.commands") <= module.PAGES
    ticks = await kept.until_level()
    assert ticks <= 10_000 // module.ROWS + 2
    # expired keys of the live ones are gone, all else of them is there; so are the records of decisions
    assert kept.rows() == {
        "commands": 50,
        "keys": 0,
        "runs": 50,
        "stages": 100,
        "signals": 0,
        "decisions": 10_050,
        "approvals": 0,
        "conversations": 0,
        "listed": 50,
        "of_queue": 50,
        "findings": 0,
    }
    listed = [c async for _, c in kept.stores.commands.conversation(HOUSEHOLD, CONVERSATION)]
    assert sorted(listed) == sorted(c.command_id for c in live)


async def test_a_key_goes_when_it_has_expired_and_its_command_stays(kept: Kept) -> None:
    command = await kept.command(1, age_days=6.9)
    await kept.command(2, age_days=8, key=KeyStatus.RESERVED)
    assert (await kept.retention().tick()).removed == 0
    kept.clock.advance(86_400)
    assert (await kept.retention().tick()).removed == 1
    assert await kept.stores.keys.read(QUEUE, command.command_id) is None
    assert await kept.stores.commands.read(command.command_id) == command


@pytest.mark.parametrize(
    "live",
    [{"key": KeyStatus.RESERVED}, {"final": False}, {"outcome": AttemptOutcome.FAILED}, {"age_days": 89.9}],
)
async def test_nothing_goes_of_a_command_that_is_not_final_or_has_an_open_review(
    kept: Kept, live: dict[str, Any]
) -> None:
    await kept.command(1, **live)
    before = kept.rows() | {"keys": 0}
    await kept.until_level()
    assert kept.rows() | {"keys": 0} == before


async def test_a_rejected_command_goes_when_somebody_has_seen_to_it(kept: Kept) -> None:
    command = await kept.command(1, outcome=AttemptOutcome.FAILED)
    await resolve_all(kept, [ids.failure_signal_id(ids.run_id(QUEUE, command.command_id))])
    await kept.until_level()
    assert sum(kept.rows().values()) == 1  # its decision


async def test_one_that_never_began_stays_while_anything_is_to_come(kept: Kept) -> None:
    at = kept.clock.now() - timedelta(days=200)
    command = replace(records.COMMAND, recorded_at=at)
    await kept.stores.commands.insert(command)
    entry = OutboxEntry(entry_id="e", command_id=command.command_id, queue=QUEUE, announced_at=at, due_at=at)
    for name in ("outbox", "followed"):
        there = getattr(kept.stores, name)
        etag = await there.insert(entry)
        await kept.until_level()
        assert await kept.stores.commands.read(command.command_id) is not None
        await there.remove(entry, etag)
    unsent = signals.command_not_sent(
        queue=QUEUE, command_id=command.command_id, household_id=HOUSEHOLD, why="refused", now=at
    )
    await kept.stores.signals.insert(unsent)
    await kept.until_level()
    assert await kept.stores.commands.read(command.command_id) is not None
    await resolve_all(kept, [unsent.signal_id])
    await kept.until_level()
    assert await kept.stores.commands.read(command.command_id) is None
    assert await kept.stores.signals.read(unsent.signal_id) is None


async def test_a_place_in_a_list_of_what_was_never_recorded_goes_when_it_is_old(kept: Kept) -> None:
    """And one that a command has beside its own, since it was recorded at another time."""
    command = await kept.command(1, age_days=1)
    never = replace(command, command_id=f"{2:032x}")
    for listed in (never, replace(command, recorded_at=command.recorded_at - timedelta(seconds=1))):
        await kept.stores.commands.list_recorded(listed)
    await kept.until_level()
    assert kept.rows()["of_queue"] == 3
    kept.clock.advance(50 * 86_400)
    kept.clock.advance(41 * 86_400)
    await kept.command(3, age_days=0)
    await kept.retention(ages=Ages(commands=timedelta(days=90), keys=None)).tick()
    listed_now = [one.command_id async for one in kept.stores.commands.listed([QUEUE])]
    assert listed_now == [f"{3:032x}"]


async def test_one_that_stays_stays_listed(kept: Kept) -> None:
    await kept.command(1, outcome=AttemptOutcome.FAILED)  # nobody has seen to it
    kept.clock.advance(200 * 86_400)
    await kept.until_level()
    assert [one.command_id async for one in kept.stores.commands.listed([QUEUE])] == [f"{1:032x}"]


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_hundred_thousand_expired_commands_are_gone_within_the_hour(kept: Kept) -> None:
    for number in range(1, 100_001):
        await kept.command(number)
    live = [await kept.command(number, age_days=1) for number in range(200_001, 200_011)]
    assert await kept.until_level() <= 100_000 // module.ROWS + 1  # six ticks of ten minutes, and one that finds none
    rows = kept.rows()
    assert {rows[name] for name in ("commands", "keys", "runs", "listed", "of_queue")} == {len(live)}


async def test_a_tick_that_has_no_time_left_ends_after_a_page_of_each_kind(kept: Kept) -> None:
    for number in range(1, 301):
        await kept.command(number, age_days=95)
    slow = replace(kept.stores, aged=_Slowed(kept.stores.aged, kept.clock))
    report = await kept.retention(slow).tick()
    assert report.removed == 2 * module.PAGE  # keys, commands
    await kept.until_level()
    assert kept.rows()["commands"] == 0


class _Slowed:
    """Each page takes longer than a tick may."""

    def __init__(self, aged: Any, clock: ManualClock) -> None:
        self._aged, self._clock = aged, clock

    def __getattr__(self, name: str) -> Any:
        target = getattr(self._aged, name)
        if name not in {"keys", "commands"}:
            return target

        async def page(*arguments: Any) -> Any:
            self._clock.advance(module.TICK_SECONDS + 1)
            return await target(*arguments)

        return page


async def test_what_is_off_stays_for_ever(kept: Kept) -> None:
    await kept.command(1, age_days=3000)
    await kept.stores.blobs.put("agent/x", b"x")
    kept.clock.advance(3000 * 86_400)
    off = Ages(keys=None, commands=None, signals=None, conversations=None, blobs=None)
    assert await kept.retention(ages=off).tick() == RetentionReport()


# --------------------------------------------------------------------------------------------------------- other kinds


async def test_signals_go_when_nobody_has_to_look_at_them_any_more(kept: Kept) -> None:
    at = kept.clock.now() - timedelta(days=500)
    finding = replace(records.SIGNAL, raised_at=at, resolved_at=at, run_id=None)
    await kept.stores.signals.index_finding(
        finding.household_id or "", finding.signal_id, day=date(2025, 6, 1), transaction_ids=["t"]
    )
    await kept.stores.signals.insert(finding)
    is_open = replace(finding, signal_id="open", is_resolved=False, resolved_at=None, resolved_by=None)
    lately = replace(finding, signal_id="lately", resolved_at=kept.clock.now())
    told = replace(is_open, signal_id="told", requires_human_review=False)
    for signal in (is_open, lately, told):
        await kept.stores.signals.insert(signal)
    await kept.until_level()
    left = [s for s in (finding, is_open, lately, told) if await kept.stores.signals.read(s.signal_id)]
    assert left == [is_open, lately]
    assert kept.rows()["findings"] == 0


async def test_a_conversation_goes_when_nothing_of_it_waits(kept: Kept) -> None:
    at = kept.clock.now() - timedelta(days=401)
    old = replace(records.CONVERSATION, conversation_id="old", last_modified_at=at, holder_command_id="")
    waits = replace(old, conversation_id=records.APPROVAL.conversation_id)
    held = replace(old, conversation_id="held", holder_queue=QUEUE, holder_command_id=f"{7:032x}")
    young = replace(old, conversation_id="young", last_modified_at=kept.clock.now())
    for conversation in (old, waits, held, young):
        await kept.stores.conversations.insert(conversation)
    approval = replace(records.APPROVAL, status=ApprovalStatus.PENDING, household_id=old.household_id)
    await kept.stores.approvals.insert(approval)
    await kept.command(7, key=KeyStatus.RESERVED)
    await kept.until_level()
    all_of_them = (old, waits, held, young)
    left = [c for c in all_of_them if await kept.stores.conversations.read(c.household_id, c.conversation_id)]
    assert left == [waits, held, young]


async def test_blobs_go_by_their_age_and_one_that_is_put_again_is_young(kept: Kept) -> None:
    kept.clock.advance(-401 * 86_400)
    for name in ("agent/h/turn/t/reply-0", f"{HOUSEHOLD}/again", f"{HOUSEHOLD}/waits", "envelopes/gone/sum"):
        await kept.stores.blobs.put(name, b"x")
    await kept.stores.blobs.put(f"envelopes/{1:032x}/sum", b"x")
    kept.clock.advance(401 * 86_400)
    await kept.stores.blobs.put(f"{HOUSEHOLD}/again", b"x")
    # rejected, and nobody has seen to it: it may be replayed
    await kept.command(1, outcome=AttemptOutcome.FAILED, batch_blob=f"{HOUSEHOLD}/waits")
    await kept.until_level()
    left = list(cast("Any", kept.stores.blobs).put_at)
    assert sorted(left) == sorted([f"{HOUSEHOLD}/again", f"{HOUSEHOLD}/waits", f"envelopes/{1:032x}/sum"])


async def test_marks_of_activity_go_when_no_night_looks_at_them(kept: Kept) -> None:
    now = kept.clock.now().date()
    for day in (now, now - timedelta(days=80), now - timedelta(days=400)):
        await kept.stores.households.mark_active(HOUSEHOLD, day)
    await kept.until_level()
    months = {key[1] for key, _ in cast("Any", kept.stores.households).table.under("active")}
    assert months == {f"{d.year:04}{d.month:02}" for d in (now, now - timedelta(days=80))}


# ------------------------------------------------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize("kind", KINDS)
async def test_a_tick_that_fails_at_any_request_leaves_what_the_next_ones_remove(kind: Kind) -> None:
    kept = Kept()
    plan = Plan()
    await kept.command(1)
    await kept.retention(faulty_stores(kept.stores, plan)).tick()
    for operation in range(1, len(plan.log) + 1):
        kept = Kept()
        await kept.command(1)
        live = await kept.command(2, age_days=30)
        with suppress(ProcessDied, StoreUnreachableError, BaseExceptionGroup):
            await kept.retention(faulty_stores(kept.stores, Plan({operation: kind}))).tick()
        await kept.until_level()
        rows = kept.rows()
        assert (rows["commands"], rows["runs"], rows["stages"], rows["listed"]) == (1, 1, 2, 1), operation
        assert await kept.stores.commands.read(live.command_id) == live


async def test_a_row_that_was_written_since_stays(kept: Kept) -> None:
    command = await kept.command(1)
    run_id = ids.run_id(QUEUE, command.command_id)
    run = await kept.stores.runs.read(run_id)
    assert run is not None
    assert not await kept.stores.aged.remove_run(run.value, "another")
    assert await kept.stores.runs.read(run_id) == Stored(run.value, run.etag)
    for removal in (
        kept.stores.aged.remove_key((await key_of(kept, command)).value, "another"),
        kept.stores.aged.remove_signal(records.SIGNAL, "another"),
    ):
        await removal
    assert await kept.stores.keys.read(QUEUE, command.command_id) is not None


async def key_of(kept: Kept, command: Command) -> Any:
    stored = await kept.stores.keys.read(QUEUE, command.command_id)
    assert stored is not None
    return stored


async def test_one_command_that_cannot_be_removed_stops_no_other(kept: Kept) -> None:
    for number in range(1, 6):
        await kept.command(number)
    table = cast("Any", kept.stores.runs).table
    key = (ids.run_id(QUEUE, f"{3:032x}"),)
    table._rows[key] = replace(table._rows[key], row={"RunId": "x"})
    report = await kept.retention().tick()
    assert report.failed == 1
    await kept.until_level()
    assert kept.rows()["commands"] == 1


@pytest.mark.parametrize("cursor", ["nonsense", "{", '["x"'])
async def test_a_cursor_that_is_none_makes_a_walk_begin_anew(kept: Kept, cursor: str) -> None:
    await kept.command(1)
    for kind in ("commands", "keys", "signals", "conversations"):
        await kept.stores.cursors.save(f"retention {kind}", cursor, None)
    await kept.retention().tick()
    await kept.until_level()
    assert kept.rows()["commands"] == 0


async def test_a_kind_that_cannot_be_walked_stops_no_other(kept: Kept) -> None:
    await kept.command(1, age_days=8)
    stores = replace(kept.stores, aged=_BrokenWalk(kept.stores.aged))
    report = await kept.retention(stores).tick()
    assert (report.failed, report.removed) == (1, 1)


class _BrokenWalk:
    """The walk of commands fails for a reason of its own."""

    def __init__(self, aged: Any) -> None:
        self._aged = aged

    def __getattr__(self, name: str) -> Any:
        return getattr(self._aged, name)

    async def commands(self, *_: object) -> Any:
        raise RuntimeError("a bug")


async def test_many_ticks_at_once_remove_everything_once(kept: Kept) -> None:
    for number in range(1, 301):
        await kept.command(number)
    await asyncio.gather(*(kept.retention().tick() for _ in range(4)))
    await kept.until_level()
    assert kept.rows()["commands"] == 0
