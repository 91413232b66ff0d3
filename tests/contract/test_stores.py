"""What every implementation of the stores keeps: memory and Table Storage alike."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from mosaic_core.adapters import record_rows
from mosaic_core.adapters.record_rows import APPROVAL, DUE_SHARE, due_group
from mosaic_core.adapters.tables import Observation, open_table_stores
from mosaic_core.domain.conversation import land
from mosaic_core.domain.errors import StoredRowError
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import ApprovalStatus, KeyStatus, Severity
from mosaic_core.domain.quota import Allowance
from mosaic_core.domain.records import (
    Annotation,
    Approval,
    Command,
    Conversation,
    Key,
    LanePause,
    OpenFinding,
    OutboxEntry,
    Signal,
    SweepProgress,
    Turn,
)
from mosaic_core.domain.transactions import Transaction
from mosaic_core.ports import EXPIRING, DueApproval, ETag, Stored, Stores
from mosaic_ops.memory.stores import memory_stores
from tests.support import records
from tests.support.records import LATER, NOW, new_id

AWKWARD = [
    "a/b\\c#d?e",
    "' or PartitionKey ne '",
    "x' and RowKey ge '",
    "%2F",
    "~2F",
    "tab\tnewline\nnul\x00del\x7fc1\x85",
    "ünïcode 😀 漢字",
    "trailing space ",
    "k" * 1024,
    "/" * 1024,
    "k" * 1023 + "j",
    "..",
    "",
]


@dataclass
class FakeClock:
    time: datetime = NOW

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "azurite"])
async def stores(request: pytest.FixtureRequest, clock: FakeClock) -> AsyncIterator[Stores]:
    if request.param == "memory":
        yield memory_stores(clock)
        return
    service = request.getfixturevalue("azurite")
    opened = open_table_stores(service.tables, service.blobs)
    try:
        yield opened.stores
    finally:
        await opened.close()


async def listed[T](rows: AsyncIterator[T]) -> list[T]:
    return [row async for row in rows]


def a_key(**changes: Any) -> Key:
    return replace(records.KEY, command_id=new_id(), **changes)


def transactions(count: int, prefix: str = "t") -> list[Transaction]:
    return [
        replace(
            records.TRANSACTION,
            transaction_id=f"{prefix}/{n:04}",
            posted_on=date(2026, 1, 1) + timedelta(days=n % 300),
            amount=Decimal(n) / 100,
        )
        for n in range(count)
    ]


# --------------------------------------------------------------------------------------------------- rows with an ETag


@dataclass(frozen=True)
class Changeable:
    """One of the stores of rows that change: how to insert, read and update the row of an id."""

    insert: Callable[[str], Awaitable[ETag | None]]
    read: Callable[[str], Awaitable[Any]]
    update: Callable[[str, ETag], Awaitable[ETag | None]]
    first: Callable[[str], Any]
    second: Callable[[str], Any]


def _changeable(stores: Stores, kind: str) -> Changeable:
    household = new_id()

    def key(i: str) -> Key:
        return replace(records.KEY, command_id=i, status=KeyStatus.RESERVED)

    def approval(i: str) -> Approval:
        return replace(records.CARRIED_OUT, approval_id=i, household_id=household)

    match kind:
        case "keys":
            return Changeable(
                lambda i: stores.keys.insert(key(i)),
                lambda i: stores.keys.read(records.KEY.queue, i),
                lambda i, etag: stores.keys.update(replace(key(i), attempt=9), etag),
                key,
                lambda i: replace(key(i), attempt=9),
            )
        case "runs":
            return Changeable(
                lambda i: stores.runs.insert(replace(records.RUN, run_id=i)),
                stores.runs.read,
                lambda i, etag: stores.runs.update(replace(records.RUN, run_id=i, attempt=9), etag),
                lambda i: replace(records.RUN, run_id=i),
                lambda i: replace(records.RUN, run_id=i, attempt=9),
            )
        case "signals":
            return Changeable(
                lambda i: stores.signals.insert(replace(records.SIGNAL, signal_id=i)),
                stores.signals.read,
                lambda i, etag: stores.signals.update(replace(records.SIGNAL, signal_id=i, attempt=9), etag),
                lambda i: replace(records.SIGNAL, signal_id=i),
                lambda i: replace(records.SIGNAL, signal_id=i, attempt=9),
            )
        case "conversations":

            def conversation(i: str) -> Conversation:
                return replace(records.CONVERSATION, conversation_id=i, household_id=household)

            return Changeable(
                lambda i: stores.conversations.insert(conversation(i)),
                lambda i: stores.conversations.read(household, i),
                lambda i, etag: stores.conversations.update(replace(conversation(i), turns=()), etag),
                conversation,
                lambda i: replace(conversation(i), turns=()),
            )
        case "annotations":

            def annotation(i: str) -> Annotation:
                return replace(records.ANNOTATION, subject=i, household_id=household)

            return Changeable(
                lambda i: stores.annotations.insert(annotation(i)),
                lambda i: stores.annotations.read(household, "learned", i),
                lambda i, etag: stores.annotations.update(replace(annotation(i), value="TRAVEL"), etag),
                annotation,
                lambda i: replace(annotation(i), value="TRAVEL"),
            )
        case _:
            return Changeable(
                lambda i: stores.approvals.insert(approval(i)),
                lambda i: stores.approvals.read(household, i),
                lambda i, etag: stores.approvals.update(replace(approval(i), decided_by="z"), etag),
                approval,
                lambda i: replace(approval(i), decided_by="z"),
            )


@pytest.fixture(params=["keys", "runs", "signals", "approvals", "conversations", "annotations"])
def changeable(request: pytest.FixtureRequest, stores: Stores) -> Changeable:
    return _changeable(stores, request.param)


async def test_an_insert_is_read_back_as_it_was(changeable: Changeable) -> None:
    i = new_id()
    assert await changeable.read(i) is None
    etag = await changeable.insert(i)
    assert etag
    there = await changeable.read(i)
    assert (there.value, there.etag) == (changeable.first(i), etag)


async def test_a_second_insert_loses_and_changes_nothing(changeable: Changeable) -> None:
    i = new_id()
    etag = await changeable.insert(i)
    assert etag is not None
    assert await changeable.insert(i) is None
    assert (await changeable.read(i)).etag == etag


async def test_an_update_wins_once_and_a_stale_etag_loses(changeable: Changeable) -> None:
    i = new_id()
    first = await changeable.insert(i)
    assert first is not None
    second = await changeable.update(i, first)
    assert second not in (None, first)
    assert (await changeable.read(i)).value == changeable.second(i)
    assert await changeable.update(i, first) is None
    assert (await changeable.read(i)).etag == second


async def test_an_update_of_a_row_that_is_not_there_loses(changeable: Changeable) -> None:
    etag = await changeable.insert(new_id())
    assert etag is not None
    gone = new_id()
    assert await changeable.update(gone, etag) is None
    assert await changeable.read(gone) is None


async def test_of_two_writers_one_wins(changeable: Changeable) -> None:
    i = new_id()
    inserted = [etag for etag in await asyncio.gather(*(changeable.insert(i) for _ in range(4))) if etag]
    assert len(inserted) == 1
    updated = [etag for etag in await asyncio.gather(*(changeable.update(i, inserted[0]) for _ in range(4))) if etag]
    assert len(updated) == 1
    assert (await changeable.read(i)).etag == updated[0]


@pytest.mark.parametrize("etag", ["*", ""])
async def test_no_unconditional_update_over_the_wire(azurite: Any, etag: str) -> None:
    opened = open_table_stores(azurite.tables, azurite.blobs)
    with pytest.raises(ValueError, match="ETag"):
        await opened.stores.runs.update(records.RUN, etag)
    await opened.close()


async def test_optional_values_that_are_none_stay_none_after_an_update(stores: Stores) -> None:
    full = replace(records.RUN, run_id=new_id())
    absent: dict[str, Any] = {field.name: None for field in fields(full) if field.default is None}
    bare = replace(full, **absent)
    etag = await stores.runs.insert(full)
    assert etag is not None
    assert await stores.runs.update(bare, etag) is not None
    stored = await stores.runs.read(full.run_id)
    assert stored is not None
    assert stored.value == bare


# ---------------------------------------------------------------------------------------------------------------- keys


async def test_a_key_belongs_to_its_queue(stores: Stores) -> None:
    key = a_key()
    assert await stores.keys.insert(key)
    assert await stores.keys.read("another-queue", key.command_id) is None
    assert await stores.keys.insert(replace(key, queue="another-queue"))


async def test_the_age_of_a_key_counts_from_its_last_write_and_is_never_too_high(
    stores: Stores, clock: FakeClock
) -> None:
    key = a_key()
    before = time.monotonic()
    etag = await stores.keys.insert(key)
    assert etag is not None
    written = time.monotonic()
    while True:  # on the service's clock, which shows whole seconds
        clock.time += timedelta(seconds=0.25)
        asked = time.monotonic()
        stored = await stores.keys.read(key.queue, key.command_id)
        elapsed = time.monotonic() - before
        assert stored is not None
        if clock.time < NOW + timedelta(seconds=1) or stored.age_seconds == 0:
            await asyncio.sleep(0.05)
            assert elapsed < 5
            continue
        break
    assert stored.lease_left == pytest.approx(30 - stored.age_seconds)
    if stored.age_seconds != 1.0:  # a real clock: rounded down by less than a second and the way of the answer
        assert asked - written - 1.05 <= stored.age_seconds <= elapsed
    assert await stores.keys.update(replace(key, lease_seconds=0), stored.etag)
    released = await stores.keys.read(key.queue, key.command_id)
    assert released is not None
    assert (released.lease_left, released.age_seconds < 1) == (0, True)


# ------------------------------------------------------------------------------------------------------------ commands


async def test_a_command_is_recorded_once(stores: Stores) -> None:
    command = replace(records.COMMAND, command_id=new_id())
    assert await stores.commands.read(command.command_id) is None
    assert await stores.commands.insert(command)
    assert not await stores.commands.insert(replace(command, request_hash="other"))
    assert await stores.commands.read(command.command_id) == command


@pytest.mark.parametrize("size", [30 * 1024, 30 * 1024 + 1, 200 * 1024])
@pytest.mark.parametrize("letter", ["x", "ü", "漢"])
async def test_envelopes_of_any_size_come_back(stores: Stores, size: int, letter: str) -> None:
    command = replace(records.COMMAND, command_id=new_id(), envelope=letter * size)
    assert await stores.commands.insert(command)
    assert not await stores.commands.insert(command)
    assert await stores.commands.read(command.command_id) == command


async def test_an_envelope_of_characters_that_take_two_units_comes_back(stores: Stores) -> None:
    command = replace(records.COMMAND, command_id=new_id(), envelope="😀" * (20 * 1024))
    assert await stores.commands.insert(command)
    assert await stores.commands.read(command.command_id) == command


async def test_a_conversation_lists_its_commands_newest_first(stores: Stores) -> None:
    household, conversation = new_id(), new_id()
    times = [NOW + timedelta(microseconds=n) for n in range(3)]
    times += [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
    for n, at in enumerate(times):
        for _ in range(2):  # the same call again changes nothing
            await stores.commands.index_conversation(household, conversation, at, "queue", f"c{n}")
    places = await listed(stores.commands.in_conversation(household, conversation))
    assert [(one.queue, one.command_id) for one in places] == await listed(
        stores.commands.conversation(household, conversation)
    )
    for reached, one in enumerate(places, start=1):
        rest = stores.commands.in_conversation(household, conversation, after=one.place)
        assert await listed(rest) == places[reached:]
    assert [c for _, c in await listed(stores.commands.conversation(household, conversation))] == [
        "c4",
        "c2",
        "c1",
        "c0",
        "c3",
    ]
    assert await listed(stores.commands.conversation(household, new_id())) == []
    assert await listed(stores.commands.conversation(new_id(), conversation)) == []


async def test_a_household_lists_its_conversations_and_no_others(stores: Stores) -> None:
    household, conversations = new_id(), sorted(new_id() for _ in range(3))
    neighbours = (household[:-1], f"{household}0", f"{household}!{conversations[0]}", new_id())
    for place, conversation in enumerate(conversations):
        for n in range(place + 1):
            await stores.commands.index_conversation(household, conversation, NOW + timedelta(seconds=n), "q", f"c{n}")
    for other in neighbours:
        await stores.commands.index_conversation(other, new_id(), NOW, "q", "c")
    assert await listed(stores.commands.conversations(household)) == conversations
    first = stores.commands.conversations(household)
    assert await anext(first) == conversations[0]
    assert await listed(stores.commands.conversations(new_id())) == []
    assert await listed(stores.commands.conversations("")) == []


async def test_a_conversation_is_read_page_by_page(stores: Stores) -> None:
    household, conversation = new_id(), new_id()
    await asyncio.gather(
        *(
            stores.commands.index_conversation(household, conversation, NOW + timedelta(seconds=n), "q", f"c{n:03}")
            for n in range(101)
        )
    )
    expected = [("q", f"c{n:03}") for n in reversed(range(101))]
    assert await listed(stores.commands.conversation(household, conversation)) == expected


async def test_commands_are_listed_by_queue_and_by_household_newest_first(stores: Stores) -> None:
    one, other, household, neighbour = (new_id() for _ in range(4))
    commands = [
        replace(
            records.COMMAND,
            command_id=new_id(),
            queue=(one, other)[n % 2],
            household_id=(household, neighbour, "")[n % 3],
            recorded_at=NOW - timedelta(hours=7 * n),
        )
        for n in range(12)
    ]
    for command in commands:
        for _ in range(2):  # the same call again changes nothing
            await stores.commands.list_recorded(command)

    async def found(queues: list[str], **more: Any) -> list[tuple[str, str, str]]:
        rows = await listed(stores.commands.listed(queues, **more))
        return [(row.queue, row.command_id, row.household_id) for row in rows]

    def expected(*kept: Command) -> list[tuple[str, str, str]]:
        return [(c.queue, c.command_id, c.household_id) for c in kept]

    assert await found([one, other]) == expected(*commands)
    assert await found([one]) == expected(*commands[::2])
    assert await found([new_id()]) == []
    assert await found([one, other], household_id=household) == expected(*commands[::3])
    assert await found([one], household_id=household) == expected(commands[0], commands[6])
    since = commands[7].recorded_at
    choices: tuple[dict[str, Any], ...] = ({}, {"household_id": household})
    for filters in choices:
        everything = await found([one, other], **filters)
        exactly = [c for c in commands if c.recorded_at >= since and (not filters or c.household_id == household)]
        assert await found([one, other], since=since, **filters) == expected(*exactly)
        later = await found([one, other], since=since + timedelta(microseconds=1), **filters)
        assert later == expected(*(c for c in exactly if c.recorded_at > since))
        for n, row in enumerate(await listed(stores.commands.listed([one, other], **filters))):
            assert await found([one, other], after=row.place, **filters) == everything[n + 1 :]
            both = await found([one, other], after=row.place, since=since, ahead=2, **filters)
            assert both == expected(*exactly)[n + 1 :]


# -------------------------------------------------------------------------------------------------------------- stages


async def test_stages_of_an_attempt_are_written_all_or_none(stores: Stores) -> None:
    run = new_id()
    attempt = [replace(records.STAGE, run_id=run, order=n, provenance=()) for n in (1, 2, 3)]
    assert await stores.stages.insert_all(attempt[1:2])
    assert not await stores.stages.insert_all(attempt)
    assert await stores.stages.of_run(run) == attempt[1:2]
    assert not await stores.stages.insert_all(attempt[1:2])


async def test_stages_come_back_by_attempt_and_order(stores: Stores) -> None:
    run = new_id()
    written = [
        [replace(records.STAGE, run_id=run, attempt=attempt, order=order) for order in range(1, 65)]
        for attempt in (10, 9)
    ]
    assert [await stores.stages.insert_all(stages) for stages in written] == [True, True]
    assert await stores.stages.of_run(run) == written[1] + written[0]
    assert await stores.stages.of_run(new_id()) == []


async def test_stages_of_two_attempts_are_no_transaction(stores: Stores) -> None:
    run = new_id()
    with pytest.raises(ValueError, match="more than one attempt"):
        await stores.stages.insert_all([replace(records.STAGE, run_id=run, attempt=n) for n in (1, 2)])
    with pytest.raises(ValueError, match="same order"):
        await stores.stages.insert_all([replace(records.STAGE, run_id=run)] * 2)
    assert await stores.stages.insert_all([])


async def test_a_long_provenance_is_cut_to_what_a_row_holds(stores: Stores) -> None:
    rows = tuple(f"{n:05}😀" for n in range(5000))
    stage = replace(records.STAGE, run_id=new_id(), provenance=rows)
    assert await stores.stages.insert_all([stage])
    (stored,) = await stores.stages.of_run(stage.run_id)
    assert stored.provenance == rows[: len(stored.provenance)]
    assert 2500 < len(stored.provenance) < 5000
    assert replace(stored, provenance=rows) == stage


# ------------------------------------------------------------------------------------------------------------- signals


async def test_signals_are_listed_by_queue_newest_first_and_the_open_ones_apart(stores: Stores) -> None:
    one, other, household = (new_id() for _ in range(3))
    signals = [
        replace(
            records.SIGNAL,
            signal_id=new_id(),
            queue=(one, other)[n % 2],
            household_id=household if n % 3 == 0 else None,
            severity=(Severity.ERROR, Severity.WARNING)[n % 2],
            signal_code=f"code_{n % 4}",
            raised_at=NOW - timedelta(hours=5 * n),
            is_resolved=False,
            run_id=None if n == 5 else new_id(),
        )
        for n in range(8)
    ]
    for signal in signals:
        assert await stores.signals.insert(signal)

    async def found(queues: list[str], *, open_only: bool = True, **more: Any) -> list[str]:
        return [s.signal_id for s in await listed(stores.signals.listed(queues, open_only=open_only, **more))]

    def expected(*kept: Signal) -> list[str]:
        return [signal.signal_id for signal in kept]

    async def update(signal: Signal) -> None:
        stored = await stores.signals.read(signal.signal_id)
        assert stored is not None
        assert await stores.signals.update(signal, stored.etag)

    for open_only in (True, False):
        assert await found([one, other], open_only=open_only) == expected(*signals)
        assert await found([other], open_only=open_only) == expected(*signals[1::2])
        assert await found([one, other], open_only=open_only, code="code_3") == expected(signals[3], signals[7])
        warnings = await found([one, other], open_only=open_only, severity=Severity.WARNING)
        assert warnings == expected(*signals[1::2])
        of_household = await found([one, other], open_only=open_only, household_id=household)
        assert of_household == expected(*signals[::3])
        since = signals[4].raised_at
        assert await found([one, other], open_only=open_only, since=since) == expected(*signals[:5])
        places = await listed(stores.signals.listed([one, other], open_only=open_only))
        assert [place.run_id for place in places] == [signal.run_id for signal in signals]
        assert await found([one, other], open_only=open_only, after=places[2].place) == expected(*signals[3:])
    resolved = replace(signals[2], is_resolved=True)
    await update(resolved)
    assert await found([one, other]) == expected(*signals[:2], *signals[3:])
    assert await found([one, other], open_only=False) == expected(*signals)
    await update(replace(signals[2], attempt=9))
    assert await found([one, other]) == expected(*signals)
    # of one that is there already nothing is left on the list of open ones
    await update(resolved)
    assert await stores.signals.insert(signals[2]) is None
    assert await stores.signals.insert(replace(signals[3], raised_at=NOW + timedelta(days=1))) is None
    assert await found([one, other]) == expected(*signals[:2], *signals[3:])


async def test_signals_are_found_by_what_they_tell_of(stores: Stores) -> None:
    message, command, awkward = f"m-{new_id()}", new_id(), f"{new_id()} an id\n with a person's words"
    of_a_run = replace(records.SIGNAL, signal_id=new_id(), run_id=new_id(), command_id=command, message_id=message)
    refused = replace(
        records.SIGNAL, signal_id=new_id(), run_id=None, command_id=None, message_id=message, raised_at=LATER
    )
    mismatch = replace(records.SIGNAL, signal_id=new_id(), run_id=None, command_id=command, message_id=command)
    strange = replace(records.SIGNAL, signal_id=new_id(), run_id=None, command_id=None, message_id=awkward)
    for signal in (refused, of_a_run, mismatch, strange):
        assert await stores.signals.insert(signal)
    assert await stores.signals.about(message) == [of_a_run, refused]
    assert await stores.signals.about(command) == [mismatch]
    assert await stores.signals.about(awkward) == [strange]
    assert await stores.signals.about(new_id()) == []


async def test_a_run_lists_its_own_signals_oldest_first(stores: Stores) -> None:
    run, ids = new_id(), sorted(new_id() for _ in range(3))
    signals = [
        replace(records.SIGNAL, signal_id=i, run_id=run, raised_at=at)
        for i, at in zip(ids, (LATER, NOW, NOW), strict=True)
    ]
    for signal in signals:
        assert await stores.signals.insert(signal)
    assert await stores.signals.insert(replace(signals[0], run_id=new_id())) is None  # found again by another run
    assert await stores.signals.of_run(run) == [signals[1], signals[2], signals[0]]
    assert await stores.signals.of_run(new_id()) == []


async def test_a_signal_found_again_by_another_run_stays_the_first_ones(stores: Stores) -> None:
    signal, other = replace(records.SIGNAL, signal_id=new_id(), run_id=new_id()), new_id()
    assert await stores.signals.insert(signal)
    assert await stores.signals.insert(replace(signal, run_id=other)) is None
    assert await stores.signals.of_run(other) == []


async def test_a_household_lists_its_open_findings_newest_day_first(stores: Stores) -> None:
    household, day = new_id(), date(2026, 11, 20)
    signals = [
        replace(records.SIGNAL, signal_id=i, household_id=household, is_resolved=False)
        for i in sorted(new_id() for _ in range(4))
    ]
    for n, signal in enumerate(signals[:3]):
        for _ in range(2):  # a second sweep finds it again
            await stores.signals.index_finding(
                household, signal.signal_id, day=day + timedelta(days=n), transaction_ids=(f"t/{n}", "ü!")
            )
        await stores.signals.insert(signal)
    stored = await stores.signals.read(signals[1].signal_id)
    assert stored is not None
    await stores.signals.update(replace(signals[1], is_resolved=True), stored.etag)
    # grown since: listed under another day as well
    await stores.signals.index_finding(household, signals[2].signal_id, day=day, transaction_ids=("t/2",))
    # listed and never raised; raised for somebody else
    await stores.signals.index_finding(household, signals[3].signal_id, day=day, transaction_ids=())
    foreign = replace(signals[3], signal_id=new_id(), household_id=new_id())
    await stores.signals.index_finding(household, foreign.signal_id, day=day, transaction_ids=())
    await stores.signals.insert(foreign)
    assert await stores.signals.open_findings(household) == [
        OpenFinding(signal=signals[2], transaction_ids=("t/2", "ü!")),
        OpenFinding(signal=signals[0], transaction_ids=("t/0", "ü!")),
    ]
    assert await stores.signals.open_findings(new_id()) == []


async def test_what_a_household_ever_listed_is_told_with_its_rows(stores: Stores) -> None:
    household, day = new_id(), date(2026, 11, 20)
    for signal_id, days, named in (("a", 0, ["t/1"]), ("a", 1, ["t/1", "ü"]), ("b", 2, []), ("a", 0, ["not again"])):
        await stores.signals.index_finding(household, signal_id, day=day + timedelta(days=days), transaction_ids=named)
    assert await stores.signals.listed_findings(household) == {"a": {"t/1", "ü"}, "b": frozenset()}
    assert await stores.signals.listed_findings(new_id()) == {}


async def test_a_finding_that_is_listed_under_many_days_hides_no_others(stores: Stores) -> None:
    household, day = new_id(), date(2026, 11, 20)
    signals = [replace(records.SIGNAL, signal_id=new_id(), household_id=household, is_resolved=False) for _ in range(2)]
    for signal in signals:
        await stores.signals.insert(signal)
    await stores.signals.index_finding(household, signals[0].signal_id, day=date(2020, 1, 1), transaction_ids=["t/0"])
    for n in range(150):
        await stores.signals.index_finding(
            household, signals[1].signal_id, day=day - timedelta(days=n), transaction_ids=[f"t/{n}"]
        )
    assert await stores.signals.open_findings(household) == [
        OpenFinding(signal=signals[1], transaction_ids=("t/0",)),
        OpenFinding(signal=signals[0], transaction_ids=("t/0",)),
    ]


async def test_open_findings_are_looked_for_among_the_newest_hundred(stores: Stores) -> None:
    household, day = new_id(), date(2026, 11, 20)
    old = replace(records.SIGNAL, signal_id=new_id(), household_id=household, is_resolved=False)
    await stores.signals.insert(old)
    await stores.signals.index_finding(household, old.signal_id, day=day, transaction_ids=["x" * 200] * 1000)
    [found] = await stores.signals.open_findings(household)
    assert 0 < len(found.transaction_ids) < 1000
    for n in range(100):
        await stores.signals.index_finding(household, f"{n:032}", day=day + timedelta(days=1), transaction_ids=())
    assert await stores.signals.open_findings(household) == []


async def test_a_signal_without_a_run_needs_none(stores: Stores) -> None:
    signal = replace(records.SIGNAL, signal_id=new_id(), run_id=None)
    assert await stores.signals.insert(signal)
    stored = await stores.signals.read(signal.signal_id)
    assert stored is not None
    assert stored.value == signal


# --------------------------------------------------------------------------------------- conversations and annotations


async def test_a_conversation_as_full_as_it_gets_is_stored(stores: Stores) -> None:
    state: Conversation | None = None
    household, conversation = new_id(), new_id()
    for n in range(60):
        turn = Turn(
            turn_id=new_id(),
            run_id=new_id(),
            attempt=1,
            command_id=new_id(),
            created_at=NOW + timedelta(seconds=n),
            question='"😀\n' * 600,
            answer="漢\x00" * 600,
            replies=tuple(f"agent/{household}/{new_id()}{new_id()}" for _ in range(4)),
        )
        _, landed = land(state, turn, household_id=household, conversation_id=conversation, now=NOW)
        assert landed is not None
        state = landed
    assert state is not None
    assert 3 <= len(state.turns) < 20
    assert await stores.conversations.insert(state)
    stored = await stores.conversations.read(household, conversation)
    assert stored is not None
    assert stored.value == state
    assert await stores.conversations.read(new_id(), conversation) is None


async def test_a_household_lists_its_annotations_of_a_kind(stores: Stores) -> None:
    household = new_id()
    for kind, subject in (("learned", "b"), ("learned", "a/#"), ("category", "t1"), ("learned!x", "c")):
        annotation = replace(records.ANNOTATION, household_id=household, kind=kind, subject=subject)
        assert await stores.annotations.insert(annotation)
    assert [a.subject for a in await stores.annotations.of_household(household, "learned")] == ["a/#", "b"]
    assert [a.subject for a in await stores.annotations.of_household(household, "category")] == ["t1"]
    assert await stores.annotations.of_household(new_id(), "learned") == []
    assert await stores.annotations.read(household, "category", "b") is None


# -------------------------------------------------------------------------------------------------------------- ledger


async def insert(stores: Stores, household: str, batch: list[Transaction]) -> Any:
    return await stores.ledger.insert_all(household, batch, run_id="run", batch_id="batch")


async def everything(stores: Stores, household: str) -> list[Transaction]:
    return await stores.ledger.between(household, date.min, date.max)


@pytest.mark.parametrize("count", [0, 1, 2, 100, 101, 501])
async def test_a_batch_is_inserted_once(stores: Stores, count: int) -> None:
    household, batch = new_id(), transactions(count)
    ids = tuple(t.transaction_id for t in batch)
    first = await insert(stores, household, batch)
    assert (first.inserted, first.present, first.conflicts) == (ids, (), ())
    again = await insert(stores, household, batch)
    assert (again.inserted, again.present, again.conflicts) == ((), ids, ())
    assert await everything(stores, household) == sorted(batch, key=lambda t: (t.posted_on, t.transaction_id))


async def test_a_batch_that_crashed_half_way_is_completed(stores: Stores) -> None:
    household, batch = new_id(), transactions(250)
    ids = [t.transaction_id for t in batch]
    await insert(stores, household, batch[30:170])
    write = await insert(stores, household, batch)
    assert write.inserted == tuple(ids[:30] + ids[170:])
    assert write.present == tuple(ids[30:170])
    assert len(await everything(stores, household)) == 250


async def test_what_was_there_is_told_as_it_stands(stores: Stores) -> None:
    """With the category that it was stored with, and by which run."""
    household, batch = new_id(), transactions(130)
    await stores.ledger.insert_all(household, batch[:120], run_id="one", batch_id="b")
    decided = [replace(t, category="OTHER", category_confidence=0.25, category_source="model 2") for t in batch]
    decided[0] = replace(decided[0], amount=Decimal("9.99"))
    write = await stores.ledger.insert_all(household, decided, run_id="two", batch_id="b")
    assert tuple(write.standing) == write.present == tuple(t.transaction_id for t in batch[1:120])
    assert [row.transaction for row in write.standing.values()] == batch[1:120]
    assert {row.run_id for row in write.standing.values()} == {"one"}
    assert (len(write.inserted), write.conflicts) == (10, (batch[0].transaction_id,))


async def test_other_content_is_a_conflict_and_left_as_it_is(stores: Stores) -> None:
    household, batch = new_id(), transactions(5)
    await insert(stores, household, batch)
    changed = [
        replace(batch[0], amount=Decimal("9.99")),
        replace(batch[1], posted_on=date(2020, 2, 29)),
        replace(batch[2], merchant_name=None),
        replace(batch[3], category="OTHER", category_confidence=0.1, category_source="model 2"),  # is no content
        replace(batch[4], amount=batch[4].amount * Decimal("1.000")),  # is the same amount
    ]
    write = await insert(stores, household, [*changed, replace(batch[0], transaction_id="new")])
    assert write.inserted == ("new",)
    assert write.conflicts == tuple(t.transaction_id for t in batch[:3])
    assert write.present == tuple(t.transaction_id for t in batch[3:])
    assert set(batch) <= set(await everything(stores, household))


async def test_one_id_twice_in_a_batch(stores: Stores) -> None:
    household, (one, two) = new_id(), transactions(2)
    write = await insert(stores, household, [one, one, two, replace(two, amount=Decimal(7))])
    assert write.inserted == (one.transaction_id, two.transaction_id)
    assert (write.present, write.conflicts) == ((), (two.transaction_id,))
    assert await everything(stores, household) == [one, two]


async def test_two_insert_the_same_batch_at_once(stores: Stores) -> None:
    household, batch = new_id(), transactions(230)
    other = [replace(t, amount=Decimal(-5)) if n < 3 else t for n, t in enumerate(batch[::-1])]
    writes = await asyncio.gather(insert(stores, household, batch), insert(stores, household, other))
    inserted = [i for write in writes for i in write.inserted]
    assert sorted(inserted) == sorted(t.transaction_id for t in batch)
    assert sum(len(write.conflicts) for write in writes) == 3
    assert sum(len(write.present) for write in writes) == 227
    assert len(await everything(stores, household)) == 230


async def test_households_do_not_meet(stores: Stores) -> None:
    mine, theirs = new_id(), new_id()
    await insert(stores, mine, transactions(3))
    assert await everything(stores, theirs) == []
    assert len((await insert(stores, theirs, transactions(3))).inserted) == 3


async def test_the_days_between_include_both(stores: Stores) -> None:
    household = new_id()
    days = [date.min, date(999, 12, 31), date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1), date.max]
    batch = [replace(records.TRANSACTION, transaction_id=str(n), posted_on=day) for n, day in enumerate(days)]
    await insert(stores, household, batch)
    assert await everything(stores, household) == batch
    assert await stores.ledger.between(household, date(2024, 2, 29), date(2024, 3, 1)) == batch[3:5]
    assert await stores.ledger.between(household, date(2025, 1, 1), date(2024, 1, 1)) == []


@pytest.mark.parametrize("count", [3, 60])
async def test_rows_are_found_by_their_ids(stores: Stores, count: int) -> None:
    household, batch = new_id(), transactions(count)
    batch[0] = replace(batch[0], transaction_id="a/b#ü ' 1")
    await insert(stores, household, batch)
    wanted = batch[:-1]
    ids = [t.transaction_id for t in wanted]
    found = await stores.ledger.named(household, [*ids, ids[0], "not-there"])
    assert found == {t.transaction_id: t for t in wanted}
    assert await stores.ledger.named(new_id(), ids) == {}
    assert await stores.ledger.named(household, []) == {}


@pytest.mark.parametrize(
    "amount", ["-0.00", "0", "1E+3", "1.10", "-99999999999999999999999999999999999999.123456789012345678901234567890"]
)
async def test_amounts_come_back_digit_by_digit(stores: Stores, amount: str) -> None:
    household = new_id()
    await insert(stores, household, [replace(records.TRANSACTION, amount=Decimal(amount))])
    (stored,) = await everything(stores, household)
    assert str(stored.amount) == amount


# ----------------------------------------------------------------------------------------- approvals, decisions, others


async def test_an_approval_that_is_asked_for_again_later_is_listed_once(stores: Stores) -> None:
    """An attempt that was cut off, and the next one by a later clock."""
    household = new_id()
    first = replace(records.APPROVAL, household_id=household, approval_id="a", status=ApprovalStatus.PENDING)
    assert await stores.approvals.insert(first) is not None
    for seconds in (1, 40):
        again = replace(first, created_at=first.created_at + timedelta(seconds=seconds))
        assert await stores.approvals.insert(again) is None
    assert await stores.approvals.of_household(household, ApprovalStatus.PENDING) == [first]
    assert await stores.approvals.of_household(household, None) == [first]


async def test_approvals_of_a_household_newest_first(stores: Stores) -> None:
    household = new_id()
    approvals = [
        replace(
            records.APPROVAL,
            household_id=household,
            approval_id=f"{n:03}",
            created_at=NOW + timedelta(minutes=n),
            status=ApprovalStatus.PENDING if n % 3 == 0 else ApprovalStatus.REJECTED,
        )
        for n in range(210)
    ]
    await asyncio.gather(*(stores.approvals.insert(approval) for approval in approvals))
    newest = approvals[::-1]
    assert await stores.approvals.of_household(household, None) == newest[:200]
    places = [one async for one in stores.approvals.listed(household, pending=False)]
    assert [(one.approval_id, one.created_at) for one in places] == [(a.approval_id, a.created_at) for a in newest]
    for reached in (0, 199, 208, 209):
        rest = [one async for one in stores.approvals.listed(household, pending=False, after=places[reached].place)]
        assert rest == places[reached + 1 :]
    waiting = [one.approval_id async for one in stores.approvals.listed(household, pending=True)]
    assert waiting == [a.approval_id for a in newest if a.status == ApprovalStatus.PENDING]
    assert [one async for one in stores.approvals.listed(new_id(), pending=True)] == []
    pending = [approval for approval in newest if approval.status == ApprovalStatus.PENDING]
    assert await stores.approvals.of_household(household, ApprovalStatus.PENDING) == pending
    assert await stores.approvals.of_household(new_id(), None) == []
    assert await stores.approvals.read(new_id(), "001") is None


async def test_of_a_households_newest_approvals_those_in_a_state(stores: Stores) -> None:
    household = new_id()
    approvals = [
        replace(
            records.APPROVAL,
            household_id=household,
            approval_id=f"{n:03}",
            created_at=NOW + timedelta(minutes=n),
            status=ApprovalStatus.EXPIRED if n < 5 or n > 205 else ApprovalStatus.REJECTED,
        )
        for n in range(208)
    ]
    await asyncio.gather(*(stores.approvals.insert(approval) for approval in approvals))
    expired = await stores.approvals.of_household(household, ApprovalStatus.EXPIRED)
    assert [a.approval_id for a in expired] == ["207", "206"]  # beyond the newest 200 nobody looks


async def test_a_settled_approval_leaves_the_list_of_pending_ones(stores: Stores) -> None:
    household = new_id()
    pending = replace(records.APPROVAL, household_id=household, approval_id="a", status=ApprovalStatus.PENDING)
    etag = await stores.approvals.insert(pending)
    assert etag is not None
    assert await stores.approvals.of_household(household, ApprovalStatus.PENDING) == [pending]
    decided = replace(pending, status=ApprovalStatus.REJECTED)
    etag = await stores.approvals.update(decided, etag)
    assert etag is not None
    assert await stores.approvals.of_household(household, ApprovalStatus.PENDING) == []
    settled = replace(decided, settled_at=LATER)
    assert await stores.approvals.update(settled, etag)
    assert await stores.approvals.insert(pending) is None
    assert await stores.approvals.of_household(household, ApprovalStatus.PENDING) == []
    assert await stores.approvals.of_household(household, None) == [settled]


async def due_of(stores: Stores, household: str, before: datetime) -> list[DueApproval]:
    return [d for d in await stores.approvals.due(before, 400) if d.household_id == household]


async def test_approvals_are_listed_from_a_quarter_of_their_life_before_its_end_on(stores: Stores) -> None:
    household, first = new_id(), datetime(2001, 5, 1, 23, 45, tzinfo=UTC)
    for n, expires_at in enumerate((first, first + timedelta(minutes=10))):
        for _ in range(2):  # the same again changes nothing
            created_at = expires_at - timedelta(hours=4)
            approval = replace(records.APPROVAL, household_id=household, approval_id=f"{n}", expires_at=expires_at)
            await stores.approvals.insert(replace(approval, created_at=created_at))
    assert await due_of(stores, household, first - timedelta(hours=1)) == []
    late = first + timedelta(hours=5)
    one, other = await due_of(stores, household, late)
    assert one == DueApproval(
        household_id=household, approval_id="0", due_at=first - timedelta(hours=1), generation=EXPIRING
    )
    assert other.due_at == first - timedelta(minutes=50)
    later = replace(one, due_at=late, generation=1)
    for _ in range(2):  # two ticks at once
        await stores.approvals.postpone(one, later)
    assert await due_of(stores, household, late) == [other]
    await stores.approvals.forget(other)
    await stores.approvals.forget(other)
    assert await due_of(stores, household, late + timedelta(seconds=1)) == [later]
    await stores.approvals.forget(later)
    assert await due_of(stores, household, late + timedelta(seconds=1)) == []


async def test_a_flood_of_one_households_due_approvals_leaves_room_for_others(stores: Stores) -> None:
    flooding, day = new_id(), datetime(2000, 3, 1, 9, 0, tzinfo=UTC)
    other = next(h for h in iter(new_id, "") if group_of(h) != group_of(flooding))
    for n in range(40):
        row = replace(records.APPROVAL, household_id=flooding, approval_id=f"{n:03}", expires_at=day)
        await stores.approvals.insert(row)
    await stores.approvals.insert(replace(records.APPROVAL, household_id=other, approval_id="x", expires_at=day))
    before = day + timedelta(hours=1)
    found = [d for d in await stores.approvals.due(before, 400) if d.household_id in (flooding, other)]
    assert len([d for d in found if d.household_id == flooding]) == DUE_SHARE
    assert len([d for d in found if d.household_id == other]) == 1
    assert len(await stores.approvals.due(before, 3)) == 3
    for due in found:
        await stores.approvals.forget(due)
    for due in await due_of(stores, flooding, before):
        await stores.approvals.forget(due)


def group_of(household: str) -> str:
    return due_group(DueApproval(household_id=household, approval_id="", due_at=NOW))


async def test_approvals_of_a_version_without_lists_are_found_and_end(azurite: Any) -> None:
    """A base row is all that there is; a worker of that version writes another one while the lists are made."""
    moment = NOW
    opened = open_table_stores(azurite.tables, azurite.blobs, now=lambda: moment)
    household, expires_at = new_id(), datetime(1999, 1, 1, tzinfo=UTC)

    async def by_the_version_before(approval_id: str) -> Approval:
        row = replace(
            records.APPROVAL,
            household_id=household,
            approval_id=approval_id,
            status=ApprovalStatus.PENDING,
            expires_at=expires_at,
        )
        assert await opened.tables.insert("AgentApprovals", household, approval_id, APPROVAL.encode(row))
        return row

    approvals, one = opened.stores.approvals, await by_the_version_before("one")
    for pending in (True, False):
        listed = [found.approval_id async for found in approvals.listed(household, pending=pending)]
        assert listed == ["one"]
    assert await approvals.of_household(household, ApprovalStatus.PENDING) == [one]
    assert await approvals.of_household(household, None) == [one]
    two = await by_the_version_before("two")
    assert await approvals.of_household(household, ApprovalStatus.PENDING) == [one]
    moment += timedelta(hours=2)
    assert await approvals.of_household(household, ApprovalStatus.PENDING) == [two, one]
    due = await due_of(opened.stores, household, NOW)
    assert sorted(d.approval_id for d in due) == ["one", "two"]
    for entry in due:
        await approvals.forget(entry)
    await opened.close()


async def test_a_poll_reads_what_is_pending_and_no_more(azurite: Any) -> None:
    """However many have expired or been decided: 1 range, and a point read for each pending one."""
    seen: list[Observation] = []
    opened = open_table_stores(azurite.tables, azurite.blobs, observer=seen.append, now=lambda: NOW)
    approvals, household = opened.stores.approvals, new_id()
    for n in range(30):
        row = replace(records.APPROVAL, household_id=household, approval_id=f"{n:03}", status=ApprovalStatus.PENDING)
        etag = await approvals.insert(row)
        if n > 2:
            assert etag is not None
            await approvals.update(replace(row, status=ApprovalStatus.EXPIRED, settled_at=NOW), etag)
    await approvals.of_household(household, ApprovalStatus.PENDING)  # lists what an earlier version may have left
    seen.clear()
    assert len(await approvals.of_household(household, ApprovalStatus.PENDING)) == 3
    assert sorted((o.kind, o.table) for o in seen) == [("query", "AgentIndex")] + [("read", "AgentApprovals")] * 3
    await opened.close()


async def test_older_approvals_are_listed_household_by_household(azurite: Any) -> None:
    """By the timer, for households that nobody asks about; twice, an hour apart, then never again."""
    moment = NOW
    opened = open_table_stores(azurite.tables, azurite.blobs, now=lambda: moment)
    approvals, household = opened.stores.approvals, new_id()
    expires_at = datetime(1998, 1, 1, tzinfo=UTC)
    row = replace(records.APPROVAL, household_id=household, status=ApprovalStatus.PENDING, expires_at=expires_at)
    assert await opened.tables.insert("AgentApprovals", household, row.approval_id, APPROVAL.encode(row))
    there = await opened.tables.read("AgentIndex", "approvals-listed", "progress")
    if there is not None:  # of another test
        await opened.tables.delete("AgentIndex", "approvals-listed", "progress", there.etag)
    for _ in range(500):
        if not await approvals.list_older(20):
            break
        moment += timedelta(minutes=10)
    [due] = await due_of(opened.stores, household, NOW)
    assert due.approval_id == row.approval_id
    await approvals.forget(due)
    moment += timedelta(days=1)
    for _ in range(500):
        if not await approvals.list_older(20):
            break
    assert not await approvals.list_older(20)
    await opened.close()


async def test_decisions_are_appended_once(stores: Stores) -> None:
    run = new_id()
    decisions = [
        replace(records.DECISION, run_id=run, decision_id=i, decided_at=at) for i, at in (("b", NOW), ("a", LATER))
    ]
    for decision in reversed(decisions):
        assert await stores.decisions.insert(decision)
    assert not await stores.decisions.insert(replace(decisions[0], rationale="other"))
    assert await stores.decisions.of_run(run) == decisions


async def test_active_households_ascending_from_a_cursor(stores: Stores) -> None:
    households = sorted(new_id() for _ in range(5))
    month = f"{2000 + int(new_id()[:2], 16)}07"
    for household in reversed(households):
        for day in (1, 31):
            await stores.households.mark_active(household, date(int(month[:4]), 7, day))
    assert await listed(stores.households.active(month)) == households
    assert await listed(stores.households.active(month, households[2])) == households[3:]
    assert await listed(stores.households.active(month, "zz")) == []
    assert await listed(stores.households.active("190001")) == []


async def test_the_progress_of_the_sweep_has_one_writer(stores: Stores) -> None:
    assert await stores.households.sweep_progress() is None
    etag = await stores.households.save_sweep_progress(records.PROGRESS, None)
    assert etag is not None
    assert await stores.households.save_sweep_progress(records.PROGRESS, None) is None
    done = SweepProgress(completed_night="2026-11-23")
    assert await stores.households.save_sweep_progress(done, etag)
    assert await stores.households.save_sweep_progress(records.PROGRESS, etag) is None
    stored = await stores.households.sweep_progress()
    assert stored is not None
    assert stored.value == done


async def test_an_allowance_has_one_writer_and_the_storage_services_times(stores: Stores) -> None:
    household = new_id()
    assert await stores.quotas.read(household) is None
    first = Allowance(household_id=household, left=4.0)
    etag = await stores.quotas.insert(first)
    assert etag is not None
    assert await stores.quotas.insert(first) is None
    stored = await stores.quotas.read(household)
    assert stored is not None
    assert stored.etag == etag
    written = stored.value.counted_at
    assert written is not None
    assert stored.value == replace(first, counted_at=written)
    assert timedelta(0) <= stored.now - written < timedelta(seconds=10)
    less = replace(stored.value, left=2.5, counted_at=stored.now)
    newer = await stores.quotas.update(less, etag)
    assert newer not in (None, etag)
    assert await stores.quotas.update(replace(less, left=0.0), etag) is None
    stored = await stores.quotas.read(household)
    assert stored is not None
    assert stored.value == less
    assert stored.now >= written
    assert await stores.quotas.read(new_id()) is None


async def test_memberships_of_a_subject(stores: Stores) -> None:
    subject = f"{new_id()}' or Subject ne '"
    memberships = [
        replace(records.MEMBERSHIP, subject=subject, household_user_id=f"{n:032}", household_id=new_id())
        for n in range(3)
    ]
    for membership in memberships:
        assert await stores.members.insert(membership)
    assert not await stores.members.insert(memberships[0])
    assert await stores.members.of_subject(subject) == memberships
    assert await stores.members.of_subject(subject.upper()) == []


async def test_a_blob_is_written_once(stores: Stores) -> None:
    name = f"{new_id()}/ü #?%41{new_id()}"
    assert await stores.blobs.get(name) is None
    await stores.blobs.put(name, b"\x00\xff")
    await stores.blobs.put(name, b"other")
    assert await stores.blobs.get(name) == b"\x00\xff"
    await stores.blobs.put(f"{name}/empty", b"")
    assert await stores.blobs.get(f"{name}/empty") == b""


# ----------------------------------------------------------------------------------------------------- hostile contents


async def test_awkward_ids_never_share_a_row(stores: Stores) -> None:
    household, run = new_id(), new_id()
    batch = [replace(records.TRANSACTION, transaction_id=i, description=i) for i in AWKWARD]
    assert len((await insert(stores, household, batch)).inserted) == len(AWKWARD)
    assert {t.transaction_id: t for t in await everything(stores, household)} == {t.transaction_id: t for t in batch}
    for i in AWKWARD:
        key = replace(records.KEY, command_id=i + run, queue=i)
        assert await stores.keys.read(i, i + run) is None
        assert await stores.keys.insert(key)
        stored = await stores.keys.read(i, i + run)
        assert stored is not None
        assert stored.value == key
        assert await stores.keys.update(key, stored.etag)


async def test_ids_cannot_reach_rows_of_others(stores: Stores) -> None:
    await insert(stores, "victim", transactions(1))
    await stores.stages.insert_all([replace(records.STAGE, run_id="victim", attempt=int(time.time_ns() % 900_000))])
    for i in ("' or PartitionKey eq 'victim", "x' or '1' eq '1", "victim')//", "victim'", "victim!", "%27%20or%20true"):
        assert await everything(stores, i) == []
        assert await stores.stages.of_run(i) == []
        assert await stores.members.of_subject(i) == []
        assert await stores.signals.of_run(i) == []
        assert await stores.runs.read(i) is None
        assert await listed(stores.commands.conversation(i, i)) == []
        assert await listed(stores.commands.conversations(i)) == []
        assert await listed(stores.households.active(i, i)) == []


async def test_parts_of_an_index_key_do_not_run_into_each_other(stores: Stores) -> None:
    one = new_id()
    await stores.commands.index_conversation(one, "a!b", NOW, "q", "c")
    assert await listed(stores.commands.conversation(f"{one}!a", "b")) == []
    assert await listed(stores.commands.conversation(one, "a")) == []


@pytest.mark.parametrize("at", [datetime(1601, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC), NOW])
async def test_times_come_back_to_the_microsecond(stores: Stores, at: datetime) -> None:
    run = replace(records.RUN, run_id=new_id(), created_at=at, completed_at=at)
    assert await stores.runs.insert(run)
    stored = await stores.runs.read(run.run_id)
    assert stored is not None
    assert stored.value == run
    assert stored.value.created_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "at",
    [
        datetime(1600, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime(2026, 1, 1),  # noqa: DTZ001 - a time without a zone is the point
        datetime.min.replace(tzinfo=UTC),
    ],
)
async def test_a_time_that_no_row_can_hold_is_refused(stores: Stores, at: datetime) -> None:
    with pytest.raises(StoredRowError):
        await stores.runs.insert(replace(records.RUN, run_id=new_id(), created_at=at))


@pytest.mark.parametrize("confidence", [float("nan"), float("inf")])
async def test_a_confidence_that_is_no_number_is_refused(stores: Stores, confidence: float) -> None:
    with pytest.raises(StoredRowError):
        await stores.decisions.insert(replace(records.DECISION, run_id=new_id(), confidence=confidence))


@pytest.mark.parametrize("confidence", [0.0, 1.0, 0.1, 1 / 3, 5e-324])
async def test_a_confidence_comes_back_exactly(stores: Stores, confidence: float) -> None:
    decision = replace(records.DECISION, run_id=new_id(), confidence=confidence)
    assert await stores.decisions.insert(decision)
    assert await stores.decisions.of_run(decision.run_id) == [decision]


# -------------------------------------------------------------------------------------------------------------- outbox


def an_entry(number: int = 0, **changes: Any) -> OutboxEntry:
    """Entries of one shard's: their commands have one id, and tell apart by the entry's."""
    entry = OutboxEntry(
        entry_id=f"{number:032x}",
        command_id="c" * 32,
        queue="queue",
        announced_at=NOW,
        due_at=NOW + timedelta(microseconds=number),
    )
    return replace(entry, **changes)


async def shards(stores: Stores, queue: str) -> list[str]:
    """Those that belong to the queue, whatever else the tests of the suite have left."""
    far = NOW + timedelta(days=3650)
    found = []
    for shard in await listed(stores.outbox.shards()):
        if [it for it in await stores.outbox.due(shard, far, 1000) if it.value.queue == queue]:
            found.append(shard)
    return found


async def test_an_outbox_entry_comes_back_as_it_was_and_goes_by_its_etag(stores: Stores) -> None:
    queue = new_id()
    entry = an_entry(7, queue=queue, tries=3)
    etag = await stores.outbox.insert(entry)
    assert etag is not None
    assert await stores.outbox.insert(entry) is None
    [shard] = await shards(stores, queue)
    [stored] = await stores.outbox.due(shard, LATER, 10)
    assert (stored.value, stored.etag) == (entry, etag)
    assert not await stores.outbox.remove(entry, 'W/"another"')
    assert await stores.outbox.remove(entry, stored.etag)
    assert await stores.outbox.remove(entry, stored.etag)  # gone is as good as removed
    assert await shards(stores, queue) == []


async def test_the_outbox_gives_what_is_due_the_earliest_first_and_no_more_than_asked_for(stores: Stores) -> None:
    queue = new_id()
    numbers = [5, 0, 9, 3, 1, 7]
    for number in numbers:
        await stores.outbox.insert(an_entry(number, queue=queue))
    await stores.outbox.insert(an_entry(1, queue=queue, entry_id="f" * 32))  # another try at the same time
    [shard] = await shards(stores, queue)

    async def due(at: int, limit: int = 100) -> list[int]:
        found = await stores.outbox.due(shard, NOW + timedelta(microseconds=at), limit)
        return [(it.value.due_at - NOW).microseconds for it in found]

    assert await due(-1) == []
    assert await due(0) == [0]
    assert await due(5) == [0, 1, 1, 3, 5]
    assert await due(100) == [0, 1, 1, 3, 5, 7, 9]
    assert await due(100, 3) == [0, 1, 1]


async def test_the_outbox_is_spread_over_shards_of_one_queue_each(stores: Stores) -> None:
    mine, other = new_id(), f"{new_id()}/with a slash"
    for queue in (mine, other):
        for number in range(40):
            await stores.outbox.insert(an_entry(number, queue=queue, command_id=new_id()))
    for queue in (mine, other):
        found = await shards(stores, queue)
        assert 8 <= len(found) <= 16
        entries = [it.value for shard in found for it in await stores.outbox.due(shard, LATER, 100)]
        assert len(entries) == 40
        assert {it.queue for it in entries} == {queue}


async def test_an_outbox_without_entries_is_one_request(azurite: Any) -> None:
    asked: list[str] = []
    opened = open_table_stores(azurite.tables, azurite.blobs, observer=lambda it: asked.append(it.kind))
    for shard in await listed(opened.stores.outbox.shards()):
        for stored in await opened.stores.outbox.due(shard, NOW + timedelta(days=3650), 1000):
            assert await opened.stores.outbox.remove(stored.value, stored.etag)
    asked.clear()
    assert await listed(opened.stores.outbox.shards()) == []
    assert asked == ["query"]
    await opened.close()


async def test_an_outbox_entry_that_cannot_be_read_stops_no_other(
    azurite: Any, caplog: pytest.LogCaptureFixture
) -> None:
    opened = open_table_stores(azurite.tables, azurite.blobs)
    queue = new_id()
    for number in range(3):
        await opened.stores.outbox.insert(an_entry(number, queue=queue))
    [shard] = await shards(opened.stores, queue)
    row_key = f"{record_rows.oldest_first(NOW - timedelta(days=1))}!{'c' * 32}!{'0' * 32}"
    await opened.tables.insert("AgentIndex", shard, row_key, {"Queue": queue, "Novelty": "of a later version"})
    found = await opened.stores.outbox.due(shard, LATER, 2)
    assert [it.value.entry_id for it in found] == [f"{0:032x}", f"{1:032x}"]
    assert "cannot be read" in caplog.text
    await opened.close()


async def test_an_outbox_entry_of_this_version_reads_without_what_has_a_default() -> None:
    row = record_rows.OUTBOX_ENTRY.encode(an_entry())
    assert set(row) == {"EntryId", "CommandId", "Queue", "AnnouncedAtUtc", "DueAtUtc", "Tries"}
    assert record_rows.OUTBOX_ENTRY.decode({**row, "Tries": None}) == an_entry()


async def test_who_was_left_behind_by_the_sweep_comes_back(stores: Stores) -> None:
    left = tuple(f"20261124:{new_id()}" for _ in range(200))
    stored = await stores.households.sweep_progress()
    progress = SweepProgress(completed_night="2026-11-24", left_behind=left)
    etag = await stores.households.save_sweep_progress(progress, stored.etag if stored else None)
    assert etag is not None
    stored = await stores.households.sweep_progress()
    assert stored is not None
    assert stored.value == progress


# ------------------------------------------------------------------------------------------ followed commands, cursors


async def test_the_lists_of_commands_are_apart(stores: Stores) -> None:
    entry = OutboxEntry(entry_id="e", command_id=new_id(), queue=f"q-{new_id()}", announced_at=NOW, due_at=LATER)
    assert await stores.followed.insert(entry)
    assert await stores.followed.insert(entry) is None
    assert not await stores.outbox.lists(entry.queue, entry.command_id)
    [shard] = [shard async for shard in stores.followed.shards() if entry.queue in shard]
    assert shard not in [name async for name in stores.outbox.shards()]
    assert await stores.followed.due(shard, NOW, 10) == []
    [stored] = await stores.followed.due(shard, LATER, 10)
    assert stored.value == entry
    assert await stores.followed.remove(entry, stored.etag)
    assert await stores.followed.due(shard, LATER, 10) == []


async def test_the_outbox_says_whether_it_announces_a_command(stores: Stores) -> None:
    entry = OutboxEntry(entry_id="e", command_id=new_id(), queue="q", announced_at=NOW, due_at=NOW)
    etag = await stores.outbox.insert(entry)
    assert etag is not None
    assert await stores.outbox.lists("q", entry.command_id)
    assert not await stores.outbox.lists("another", entry.command_id)
    assert not await stores.outbox.lists("q", new_id())
    await stores.outbox.remove(entry, etag)
    assert not await stores.outbox.lists("q", entry.command_id)


async def test_a_cursor_is_saved_where_nobody_else_has_saved_it(stores: Stores) -> None:
    name = f"dead-letters {new_id()}/x"
    assert await stores.cursors.read(name) is None
    etag = await stores.cursors.save(name, "17", None)
    assert etag is not None
    assert await stores.cursors.save(name, "18", None) is None
    later = await stores.cursors.save(name, "19", etag)
    assert later is not None
    assert await stores.cursors.save(name, "20", etag) is None
    stored = await stores.cursors.read(name)
    assert stored is not None
    assert (stored.value, stored.etag) == ("19", later)


async def test_a_lane_s_pause_is_written_by_its_etag(stores: Stores) -> None:
    pause = LanePause(lane=Lane.SWEEP, is_paused=True, changed_by="ada", reason="why", changed_at=NOW)
    assert await stores.pauses.read(Lane.INGESTION) is None
    there = await stores.pauses.read(Lane.SWEEP)
    etag = await stores.pauses.save(pause, there.etag if there else None)
    assert etag is not None
    assert await stores.pauses.read(Lane.SWEEP) == Stored(pause, etag)
    assert await stores.pauses.save(pause, None) is None
    resumed = replace(pause, is_paused=False)
    assert await stores.pauses.save(resumed, etag) is not None
    assert await stores.pauses.save(pause, etag) is None
    found = await stores.pauses.read(Lane.SWEEP)
    assert found is not None
    assert found.value == resumed


async def test_a_households_members_are_listed_whatever_their_status(stores: Stores) -> None:
    household, other = new_id(), new_id()
    one = replace(records.MEMBERSHIP, household_id=household, subject=f"s!{new_id()}", household_user_id=new_id())
    two = replace(one, subject=f"t/{new_id()}", household_user_id=new_id())
    assert await stores.members.insert(one)
    assert await stores.members.insert(two)
    taken = replace(one, household_id=other)
    assert not await stores.members.insert(taken)  # listed there, and still not a member there
    stored = await stores.members.read(one.subject, one.household_user_id)
    assert stored is not None
    removed = replace(one, status="removed")
    assert await stores.members.update(removed, stored.etag) is not None
    assert await stores.members.update(one, stored.etag) is None
    found = await stores.members.of_household(household)
    assert sorted(found, key=lambda m: m.subject) == sorted([removed, two], key=lambda m: m.subject)
    assert await stores.members.of_household(other) == []
    assert await stores.members.read("nobody", one.household_user_id) is None
