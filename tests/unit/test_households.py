"""A household's erasure and export: nothing of it stays but what is said, and nothing of another is touched."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mosaic_core.domain.errors import QueueUnavailableError, RequestError, StoreUnreachableError
from mosaic_core.domain.households import ERASED, HouseholdKind
from mosaic_core.domain.lifecycle import KeyStatus
from mosaic_core.ports import OutgoingMessage, Stores
from mosaic_core.services.households import household_service as module
from mosaic_core.services.households import sources
from mosaic_core.services.households.household_letters import is_of
from mosaic_ops.memory.messaging import ManualClock, MemoryBroker
from mosaic_ops.memory.stores import memory_stores
from tests.support.api import ALICE_HOUSEHOLD, BOB_HOUSEHOLD, ApiWorld
from tests.support.faults import KINDS, Kind, Plan, ProcessDied, faulty_messaging, faulty_stores
from tests.support.households import ONE, OTHER, QUEUE, Filled, bury, fill, held, leave, message, service

ADMIN = "ada+Mosaic.Operator.Admin"


class Two:
    """Two households, of which one is erased."""

    def __init__(self) -> None:
        self.clock = ManualClock(datetime(2026, 11, 30, 8, tzinfo=UTC))
        self.stores: Stores = memory_stores(self.clock)
        self.broker = MemoryBroker(self.clock)

    async def filled(self, commands: int = 2) -> tuple[Filled, list[str]]:
        """The one, and all that is held of the other alone."""
        one = await fill(self.stores, self.broker, ONE, commands=commands)
        await fill(self.stores, self.broker, OTHER, commands=commands)
        return one, [text for text in held(self.stores, self.broker) if OTHER[:24] in text]

    def of(self, one: Filled) -> list[str]:
        return [text for text in held(self.stores, self.broker) if any(mark in text for mark in one.marks)]

    async def erase(self, stores: Stores | None = None, *, most: int = 20) -> str:
        """Repeated as a caller does, until it is done or waits."""
        for _ in range(most):
            answer = await service(stores or self.stores, self.broker, self.clock).advance(ONE, "ada", "request 1")
            if answer.state != "running":
                return answer.state
        raise AssertionError("never done")

    def check(self, one: Filled, other: list[str]) -> None:
        assert [text for text in held(self.stores, self.broker) if OTHER[:24] in text] == other
        left = self.of(one)
        assert len(left) == len(one.command_ids)
        assert all(text.startswith("decisions.") and f"'Rationale': '{ERASED}'" in text for text in left), left
        assert not any(one.words in text for text in left)


async def test_of_an_erased_household_only_what_is_said_stays_and_nothing_of_another_is_touched() -> None:
    two = Two()
    one, other = await two.filled()
    dry = await service(two.stores, two.broker, two.clock).dry_run(ONE, "ada", "request 1")
    assert dry.state == "dry_run"
    assert set(dry.counts) == {kind.value for kind in HouseholdKind} - {"households"}
    assert len(two.of(one)) > 20
    answer = await service(two.stores, two.broker, two.clock).advance(ONE, "ada", "request 1")
    assert (answer.state, answer.requested_by, answer.reason) == ("completed", "ada", "request 1")
    # a command's key and what follows it go with it, a run's stage with it
    assert answer.counts["commands"] == 3 * dry.counts["commands"]
    assert {kind: answer.counts[kind] for kind in ("members", "ledger_transactions", "dead_letters", "blobs")} == {
        "members": 1,
        "ledger_transactions": 3,
        "dead_letters": 1,
        "blobs": 3,
    }
    two.check(one, other)
    assert any("decisions" in said for said in answer.stays)
    record = await two.stores.cursors.read(f"erase {ONE}")
    assert record is not None
    assert one.words not in record.value


async def test_the_same_again_finds_nothing_and_keeps_the_first_record() -> None:
    two = Two()
    one, other = await two.filled()
    first = await service(two.stores, two.broker, two.clock).advance(ONE, "ada", "request 1")
    again = await service(two.stores, two.broker, two.clock).advance(ONE, "bea", "request 2")
    assert (again.state, again.counts, again.requested_by) == ("completed", first.counts, "ada")
    two.check(one, other)


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind == "crash_after" else [pytest.mark.slow]) for kind in KINDS]
)
async def test_one_that_dies_at_any_request_is_gone_on_with(kind: Kind) -> None:
    two = Two()
    await two.filled(1)
    plan = Plan()
    await two.erase(faulty_stores(two.stores, plan))
    assert len(plan.log) > 40
    for operation in range(1, len(plan.log) + 1):
        two = Two()
        one, other = await two.filled(1)
        with suppress(ProcessDied, StoreUnreachableError, BaseExceptionGroup):
            await two.erase(faulty_stores(two.stores, Plan({operation: kind})))
        assert await two.erase() == "completed"
        two.check(one, other)


async def test_small_pieces_are_a_request_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 1)
    monkeypatch.setattr(sources, "PAGE", 1)
    monkeypatch.setattr(module, "PIECES", 3)
    two = Two()
    one, other = await two.filled(3)
    assert (await service(two.stores, two.broker, two.clock).advance(ONE, "ada", "r")).state == "running"
    assert await two.stores.members.of_subject(f"subject-{ONE}") == []
    assert await two.erase(most=200) == "completed"
    two.check(one, other)


async def test_what_is_at_work_is_waited_for_and_nothing_new_is_accepted() -> None:
    two = Two()
    one, other = await two.filled()
    key = await two.stores.keys.read(QUEUE, one.command_ids[0])
    assert key is not None
    etag = await two.stores.keys.update(replace(key.value, status=KeyStatus.RESERVED, finalized_at=None), key.etag)
    assert etag is not None
    await two.broker.send(message(ONE, "1" * 32, one.words))
    answer = await service(two.stores, two.broker, two.clock).advance(ONE, "ada", "r")
    assert answer.state == "waiting"
    assert answer.waiting_for is not None
    assert (answer.waiting_for.commands, answer.waiting_for.messages) == (1, 1)
    assert await two.stores.members.of_subject(f"subject-{ONE}") == []
    assert await two.stores.commands.read(one.command_ids[0]) is not None
    assert await two.stores.keys.update(key.value, etag) is not None
    assert await two.erase() == "waiting"
    received = two.broker.receive(QUEUE)
    assert received is not None
    await two.broker.complete(received)
    assert await two.erase() == "completed"
    two.check(one, other)


async def test_a_command_that_never_began_is_waited_for_while_anything_follows_it() -> None:
    two = Two()
    one, _ = await two.filled(1)
    key = await two.stores.keys.read(QUEUE, one.command_ids[0])
    run = await two.stores.runs.read(key.value.run_id) if key else None
    assert key is not None
    assert run is not None
    await two.stores.aged.remove_key(key.value, key.etag)
    await two.stores.aged.remove_run(run.value, run.etag)
    assert await two.erase() == "waiting"


async def test_what_arrives_meanwhile_is_found_by_the_next_round() -> None:
    two = Two()
    one, other = await two.filled()
    late = f"{9:08x}{ONE[:24]}"

    class Late:
        """A command is left when the blobs are walked, long after the commands were."""

        def __init__(self) -> None:
            self.left = False

        def __getattr__(self, name: str) -> object:
            return getattr(two.stores.household_data, name)

        async def page(self, kind: HouseholdKind, *rest: object, **options: object) -> object:
            if kind is HouseholdKind.BLOBS and not self.left:
                self.left = True
                await leave(two.stores, ONE, late, one.words)
            return await two.stores.household_data.page(kind, *rest, **options)  # type: ignore[arg-type]

    assert await two.erase(replace(two.stores, household_data=Late())) == "completed"  # type: ignore[arg-type]
    one.command_ids.append(late)
    two.check(one, other)


async def test_two_at_once_remove_everything_once() -> None:
    two = Two()
    one, other = await two.filled(3)
    services = [service(two.stores, two.broker, two.clock) for _ in range(2)]
    for _ in range(3):
        for each_of in services:
            await each_of.advance(ONE, "ada", "r")
    two.check(one, other)


async def test_a_broker_that_is_away_stops_the_erasure_and_the_next_goes_on() -> None:
    two = Two()
    one, other = await two.filled()
    away = faulty_messaging(two.broker, "browser", Plan({1: "unsent"}))
    with pytest.raises(QueueUnavailableError):
        await service(two.stores, two.broker, two.clock, away).advance(ONE, "ada", "r")
    assert await two.erase() == "completed"
    two.check(one, other)


@pytest.mark.parametrize(
    ("body", "properties", "mine"),
    [
        (b'{"payload": {"householdId": "%s"}}', {}, True),
        (b'{"payload": {"householdId": "A11CE000-0000-0000-0000-000000000001"}}', {}, True),
        (b'{"payload": {"householdId": "b0b00000000000000000000000000001", "message": "%s"}}', {}, False),
        (b'{"payload": {"householdId": "b0b00000000000000000000000000001"}}', {"householdId": ONE}, False),
        (b"no JSON", {"householdId": ONE}, True),
        (b"no JSON of %s", {}, True),
        (b"no JSON of A11CE000-0000-0000-0000-000000000001", {}, True),
        (b"no JSON", {}, False),
        (b"no JSON of %s", {"householdId": OTHER}, False),
        (b"[1]", {"householdId": "x"}, False),
    ],
)
async def test_whose_a_message_is(body: bytes, properties: dict[str, str], mine: bool) -> None:
    two = Two()
    body = body.replace(b"%s", ONE.encode())
    await bury(two.broker, OutgoingMessage(queue=QUEUE, body=body, message_id="m", properties=properties))
    [letter] = await two.broker.browse(QUEUE, dead=True)
    assert is_of(letter, ONE) == mine


# -------------------------------------------------------------------------------------------------------------- export


async def exported(two: Two) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = {}
    kind: HouseholdKind | None = None
    cursor = ""
    for _ in range(200):
        page = await service(two.stores, two.broker, two.clock).export(ONE, kind, cursor, "ada", "request 1")
        found.setdefault(page.kind, []).extend(page.rows)
        kind, cursor = page.next_kind, page.next_cursor or ""
        if kind is None:
            return found
    raise AssertionError("no end")


async def test_an_export_has_everything_of_one_household_and_nothing_of_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sources, "EXPORTED", 2)
    two = Two()
    one, _ = await two.filled(3)
    before = held(two.stores, two.broker)
    found = await exported(two)
    assert held(two.stores, two.broker) == before
    assert OTHER[:24] not in str(found)
    assert {kind for kind, rows in found.items() if rows} == {kind.value for kind in HouseholdKind} - {"households"}
    assert sorted(str(row["CommandId"]) for row in found["commands"]) == sorted(one.command_ids)
    assert all(len(row["Keys"]) == 1 for row in found["commands"])  # type: ignore[arg-type]
    assert all(one.words in str(row["Stages"]) for row in found["runs"])
    texts = [str(row["Text"]) for row in found["blobs"]]
    assert len(texts) == 3
    assert all(one.words in text for text in texts)
    assert one.words in str(found["dead_letters"])
    note = await two.stores.cursors.read(f"export {ONE}")
    assert note is not None
    assert "request 1" in note.value


@pytest.mark.parametrize("kind", list(HouseholdKind))
async def test_a_cursor_that_is_none_is_refused(kind: HouseholdKind) -> None:
    two = Two()
    await two.filled()
    if kind is HouseholdKind.BLOBS:
        return  # in memory any text is a name to begin after
    with pytest.raises(RequestError):
        await service(two.stores, two.broker, two.clock).export(ONE, kind, "nonsense", "ada", "r")


# --------------------------------------------------------------------------------------------------------------- routes


async def test_the_routes_want_the_id_twice_and_an_administrator() -> None:
    world = ApiWorld()
    await fill(world.stores, world.broker, ALICE_HOUSEHOLD)
    path = f"/ops/households/{ALICE_HOUSEHOLD}/erase"
    order = {"dryRun": False, "reason": "request 1"}
    for confirmed in ({}, {"confirmHousehold": BOB_HOUSEHOLD}, {"confirmHousehold": "x"}):
        answer = await world.post(path, {**order, **confirmed}, token=ADMIN)
        assert (answer.status, answer.fields) == (400, ["confirmHousehold"])
    answer = await world.post(path, {**order, "dryRun": True}, token=ADMIN)
    assert (answer.status, answer.json["state"], answer.json["counts"]["members"]) == (200, "dry_run", 1)
    answer = await world.post(path, {**order, "confirmHousehold": ALICE_HOUSEHOLD}, token="olga+Mosaic.Operator.Replay")
    assert (answer.status, answer.code) == (403, "role_required")
    answer = await world.post(path, {**order, "confirmHousehold": "A11CE000-0000-0000-0000-000000000001"}, token=ADMIN)
    assert (answer.status, answer.json["state"], answer.json["requestedBy"]) == (200, "completed", "ada")
    page = await world.post(f"/ops/households/{ALICE_HOUSEHOLD}/export", {"reason": "r"}, token=ADMIN)
    assert (page.status, page.json["rows"], page.json["nextKind"]) == (200, [], "activity_marks")
