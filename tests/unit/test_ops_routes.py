"""The operators' routes over what a worker really wrote: filters, pages, traces; nothing of a household's matters."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from mosaic_core.domain import ids, signals
from mosaic_core.domain.errors import StoredRowError, StoreUnreachableError
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_core.domain.lifecycle import ApprovalStatus, AttemptOutcome, KeyStatus, RunStatus, Severity, StageStatus
from mosaic_core.domain.records import Run, Signal
from mosaic_core.services.operators import runs as runs_module
from tests.support import records
from tests.support.api import ALICE_HOUSEHOLD, BOB_HOUSEHOLD, ApiWorld
from tests.support.world import COMMAND_ID, HOUSEHOLD, QUEUE, RUN_ID, Work, World, body

READER = "olga+Mosaic.Operator.Read"
RESOLVER = "rolf+Mosaic.Operator.Replay"
SECRET = "what Alice said"
QUEUES = {lane: rules.default_queue for lane, rules in RULES.items()}


class Rows:
    """Rows as workers leave them, one command a second."""

    def __init__(self, world: ApiWorld) -> None:
        self.world, self.stores = world, world.stores
        self.count = 0

    async def command(self, lane: Lane = Lane.CONVERSATION, household: str = ALICE_HOUSEHOLD) -> tuple[str, str]:
        self.count += 1
        command_id, queue = f"{self.count:032x}", QUEUES[lane]
        command = replace(
            records.COMMAND,
            command_id=command_id,
            queue=queue,
            household_id=household,
            envelope=SECRET,
            recorded_at=self.world.clock.now() + timedelta(seconds=self.count),
        )
        await self.stores.commands.list_recorded(command)
        await self.stores.commands.insert(command)
        return queue, command_id

    async def run(self, lane: Lane = Lane.CONVERSATION, household: str = ALICE_HOUSEHOLD, **changes: Any) -> Run:
        queue, command_id = await self.command(lane, household)
        moment = self.world.clock.now() + timedelta(seconds=self.count)
        run = replace(
            records.RUN,
            run_id=ids.run_id(queue, command_id),
            household_id=household,
            command_id=command_id,
            correlation_id=f"agent:{household}:c:{command_id}",
            queue=queue,
            status=RunStatus.COMPLETED,
            attempt_outcome=AttemptOutcome.SUCCEEDED,
            failure_code=None,
            failure_rationale=None,
            next_attempt_at=None,
            agent_note_summary=SECRET,
            created_at=moment,
            last_modified_at=moment,
            completed_at=moment,
        )
        run = replace(run, **changes)
        await self.stores.runs.insert(run)
        if run.status == RunStatus.NEEDS_REVIEW and run.attempt_outcome == AttemptOutcome.FAILED:
            await self.stores.signals.insert(
                signals.command_failed(run, message_id=command_id, attempt=run.attempt, now=moment)
            )
        elif run.status == RunStatus.NEEDS_REVIEW:
            await self.stores.signals.insert(signals.review(run))
        return run

    async def failed(self, lane: Lane = Lane.CONVERSATION, household: str = ALICE_HOUSEHOLD) -> Run:
        return await self.run(
            lane,
            household,
            status=RunStatus.NEEDS_REVIEW,
            attempt_outcome=AttemptOutcome.FAILED,
            failure_code="drill_failure",
            failure_rationale="a drill made this attempt fail",
        )

    async def review(self, lane: Lane = Lane.CONVERSATION, household: str = ALICE_HOUSEHOLD) -> Run:
        return await self.run(
            lane,
            household,
            status=RunStatus.NEEDS_REVIEW,
            attempt_outcome=AttemptOutcome.SUCCEEDED_REVIEW,
            failure_code="approval_required",
            failure_rationale=SECRET,
        )


@pytest.fixture
def world() -> ApiWorld:
    return ApiWorld()


@pytest.fixture
def rows(world: ApiWorld) -> Rows:
    return Rows(world)


async def get(world: ApiWorld, path: str, token: str = READER) -> Any:
    answer = await world.get(f"/ops/{path}", token=token)
    assert answer.status == 200, answer.body
    assert SECRET.encode() not in answer.body
    return answer.json


async def shown(world: ApiWorld, query: str = "") -> list[str]:
    return [run["runId"] for run in (await get(world, f"runs{query}"))["runs"]]


def newest_first(*runs: Run) -> list[str]:
    return [run.run_id for run in reversed(runs)]


# ---------------------------------------------------------------------------------------------------------------- runs


async def test_runs_of_every_household_newest_first_and_by_each_filter(world: ApiWorld, rows: Rows) -> None:
    a = await rows.run()
    b = await rows.run(Lane.INGESTION, BOB_HOUSEHOLD)
    c = await rows.failed(Lane.SWEEP, BOB_HOUSEHOLD)
    await rows.command()  # nobody has begun it
    d = await rows.run(status=RunStatus.RUNNING, is_final=False, attempt_outcome=None, completed_at=None)
    e = await rows.review()
    assert await shown(world) == newest_first(a, b, c, d, e)
    assert await shown(world, f"?householdId={BOB_HOUSEHOLD}") == newest_first(b, c)
    assert await shown(world, "?lane=ingestion") == newest_first(b)
    assert await shown(world, f"?lane=sweep&householdId={BOB_HOUSEHOLD}") == newest_first(c)
    assert await shown(world, "?status=Completed") == newest_first(a, b)
    assert await shown(world, "?status=Running") == newest_first(d)
    assert await shown(world, "?status=NeedsReview") == newest_first(c, e)
    assert await shown(world, f"?status=NeedsReview&householdId={ALICE_HOUSEHOLD}") == newest_first(e)
    assert await shown(world, "?status=NeedsReview&lane=sweep") == newest_first(c)
    assert await shown(world, "?status=Failed") == []
    since = quote(c.created_at.isoformat())
    assert await shown(world, f"?sinceUtc={since}") == newest_first(c, d, e)
    assert await shown(world, f"?sinceUtc={since}&status=NeedsReview") == newest_first(c, e)
    assert await shown(world, f"?sinceUtc={since}&householdId={BOB_HOUSEHOLD}") == newest_first(c)
    assert await shown(world, f"?householdId={'f' * 32}") == []


@pytest.mark.parametrize("filters", ["", "&status=NeedsReview", f"&householdId={ALICE_HOUSEHOLD}", "&lane=ingestion"])
async def test_pages_hold_every_run_once_whatever_comes_in_between(world: ApiWorld, rows: Rows, filters: str) -> None:
    for n in range(23):
        await (rows.failed if n % 3 else rows.run)(list(Lane)[n % 2], (ALICE_HOUSEHOLD, BOB_HOUSEHOLD)[n % 2])
    expected = await shown(world, f"?limit=100{filters}")
    found, cursor = [], ""
    while True:
        page = await get(world, f"runs?limit=4{filters}{cursor}")
        found += [run["runId"] for run in page["runs"]]
        assert len(page["runs"]) <= 4
        await rows.failed(Lane.INGESTION)  # newer than what was read
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={quote(page['nextCursor'])}"
    assert found == expected
    assert len(found) > 4


async def test_what_few_runs_match_costs_pages_and_no_scan(
    world: ApiWorld, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_module, "LOOKED_AT", 10)
    wanted = await rows.run(status=RunStatus.RUNNING, is_final=False, completed_at=None)
    for _ in range(25):
        await rows.run()
    looked_at, cursor, found = [], "", []
    while True:
        page = await get(world, f"runs?status=Running{cursor}")
        looked_at.append(page["lookedAt"])
        found += [run["runId"] for run in page["runs"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={quote(page['nextCursor'])}"
    assert found == [wanted.run_id]
    assert looked_at == [10, 10, 6]


async def test_a_run_that_failed_and_then_asked_for_a_person_is_listed_once(world: ApiWorld, rows: Rows) -> None:
    run = await rows.review()
    failure = signals.recovered(run, message_id="m", attempt=2, now=world.clock.now())
    await world.stores.signals.insert(failure)
    finding = replace(records.SIGNAL, run_id=run.run_id, queue=run.queue, household_id=ALICE_HOUSEHOLD)
    await world.stores.signals.insert(finding)
    assert await shown(world, "?status=NeedsReview") == [run.run_id]


async def test_a_row_that_cannot_be_read_hides_no_other(
    world: ApiWorld, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = await rows.run(), await rows.run()
    read = world.stores.runs.read

    async def reading(run_id: str) -> Any:
        if run_id == bad.run_id:
            raise StoredRowError("Status of a stored Run cannot be read")
        return await read(run_id)

    monkeypatch.setattr(world.stores.runs, "read", reading)
    page = await get(world, "runs")
    assert [run["runId"] for run in page["runs"]] == [good.run_id]
    assert page["unreadableRunIds"] == [bad.run_id]
    answer = await world.get(f"/ops/runs/{bad.run_id}", token=READER)
    assert (answer.status, answer.code, answer.fields) == (409, "stored_row_invalid", ["runId"])
    story = await get(world, f"trace/{bad.command_id}")
    assert any("cannot be read" in said for said in story["missing"])
    assert (await get(world, "lanes"))["lanes"][1]["recent"]["completed"] == 1


async def test_a_run_of_any_household_without_a_word_of_it(world: ApiWorld, rows: Rows) -> None:
    run = await rows.review()
    stage = replace(records.STAGE, run_id=run.run_id, outcome_rationale=SECRET, provenance=(SECRET,))
    broken = replace(stage, attempt=1, status=StageStatus.FAILED, outcome_rationale="the provider did not answer")
    for one in (stage, broken):
        await world.stores.stages.insert_all([one])
    await world.stores.decisions.insert(replace(records.DECISION, run_id=run.run_id, rationale=SECRET, actor=SECRET))
    await world.stores.approvals.insert(
        replace(records.APPROVAL, run_id=run.run_id, action_summary=SECRET, status=ApprovalStatus.PENDING)
    )
    key = replace(records.KEY, queue=run.queue, command_id=run.command_id, resolution_rationale=SECRET)
    await world.stores.keys.insert(key)
    detail = await get(world, f"runs/{run.run_id}")
    assert detail["run"]["failureCode"] == "approval_required"
    assert detail["run"]["failureRationale"] is None
    assert detail["run"]["traceId"] == "0af7651916cd43dd8448eb211c80319c"
    assert [s["outcomeRationale"] for s in detail["stages"]] == ["the provider did not answer", None]
    assert [(s["signalCode"], s["summary"]) for s in detail["signals"]] == [("approval_required", None)]
    assert detail["key"]["status"] == "Completed"
    assert (detail["key"]["attempt"], detail["key"]["excused"], detail["key"]["countedAttempts"]) == (3, 1, 2)
    [decision] = detail["decisions"]
    assert decision["reasonCode"] == "high_impact"
    [approval] = (await get(world, f"approvals?householdId={ALICE_HOUSEHOLD}"))["approvals"]
    assert (approval["runId"], approval["status"]) == (run.run_id, "pending")
    assert (await get(world, f"approvals?householdId={BOB_HOUSEHOLD}"))["approvals"] == []
    assert (await world.get("/ops/approvals", token=READER)).fields == ["householdId"]
    story = await get(world, f"trace/{run.run_id}")
    assert [entry["source"] for entry in story["timeline"]].count("AgentRunStages") == 4
    await get(world, "signals?state=all")
    await get(world, "lanes")


async def test_a_run_that_is_not_there_and_one_whose_key_is_gone(world: ApiWorld, rows: Rows) -> None:
    answer = await world.get(f"/ops/runs/{'e' * 32}", token=READER)
    assert (answer.status, answer.code) == (404, "not_found")
    run = await rows.run()
    assert (await get(world, f"runs/{run.run_id}"))["key"] is None


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=101", "limit=x", "limit=", "cursor=x", "cursor="),
        *("lane=x", "lane=", "status=completed", "status=", "sinceUtc=x", "householdId=x"),
    ],
)
async def test_a_filter_that_does_not_hold_is_named(world: ApiWorld, query: str) -> None:
    answer = await world.get(f"/ops/runs?{query}", token=READER)
    assert (answer.status, answer.fields) == (400, [query.split("=")[0]])


# ------------------------------------------------------------------------------------------------------------- signals


async def test_the_review_queue_by_each_filter(world: ApiWorld, rows: Rows) -> None:
    a, b, c = await rows.failed(), await rows.review(Lane.SWEEP, BOB_HOUSEHOLD), await rows.failed(Lane.INGESTION)

    async def queue(query: str = "") -> list[str]:
        found = (await get(world, f"signals{query}"))["signals"]
        return [signal["runId"] for signal in found]

    assert await queue() == newest_first(a, b, c)
    assert await queue("?lane=sweep") == [b.run_id]
    assert await queue("?code=worker_command_failed") == newest_first(a, c)
    assert await queue("?severity=Warning") == [b.run_id]
    assert await queue(f"?householdId={BOB_HOUSEHOLD}") == [b.run_id]
    assert await queue(f"?sinceUtc={quote(b.created_at.isoformat())}") == newest_first(b, c)
    page = await get(world, "signals?limit=2")
    rest = await get(world, f"signals?limit=2&cursor={quote(page['nextCursor'])}")
    assert [s["runId"] for s in page["signals"] + rest["signals"]] == newest_first(a, b, c)
    assert rest["nextCursor"] is None
    failure = page["signals"][0]
    assert failure["summary"] == "drill_failure: a drill made this attempt fail"
    resolved = await world.post(f"/ops/signals/{failure['signalId']}/resolve", {"note": "x"}, token=RESOLVER)
    assert resolved.status == 200
    assert await queue() == newest_first(a, b)
    assert await queue("?state=all") == newest_first(a, b, c)


async def test_a_signal_is_resolved_once_with_a_name_and_a_note(
    world: ApiWorld, rows: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    run = await rows.failed()
    signal_id = ids.failure_signal_id(run.run_id)
    path = f"/ops/signals/{signal_id}/resolve"
    with caplog.at_level(logging.INFO):
        first = await world.post(path, {"note": " the provider is back "}, token=RESOLVER)
    assert first.status == 200
    assert first.json["outcome"] == "resolved"
    assert first.json["signal"]["resolvedBy"] == "rolf"
    assert first.json["signal"]["resolutionNote"] == "the provider is back"
    [line] = [r for r in caplog.records if r.getMessage() == "an operator resolved a signal"]
    assert (line.__dict__["signalId"], line.__dict__["subject"]) == (signal_id, "rolf")
    world.clock.advance(60)
    again = await world.post(path, {"note": "the provider is back"}, token=RESOLVER)
    assert (again.status, again.json["outcome"]) == (200, "already_resolved")
    assert again.json["signal"] == first.json["signal"]
    for token, note in ((RESOLVER, "another word"), ("mia+Mosaic.Operator.Replay", "the provider is back")):
        other = await world.post(path, {"note": note}, token=token)
        assert (other.status, other.code) == (409, "signal_already_resolved")
    stored = await world.stores.signals.read(signal_id)
    assert stored is not None
    assert stored.value.resolution_note == "the provider is back"


async def test_a_resolution_is_of_the_signal_as_it_was_read(
    world: ApiWorld, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker writes between the read and the write: what it wrote is kept, and resolved."""
    run = await rows.failed()
    signal_id = ids.failure_signal_id(run.run_id)
    read, in_between = world.stores.signals.read, [True]

    async def reading(wanted: str) -> Any:
        stored = await read(wanted)
        if in_between and stored is not None:
            in_between.pop()
            await world.stores.signals.update(replace(stored.value, attempt=9, summary="newer"), stored.etag)
        return stored

    monkeypatch.setattr(world.stores.signals, "read", reading)
    answer = await world.post(f"/ops/signals/{signal_id}/resolve", {"note": "seen"}, token=RESOLVER)
    assert answer.json["outcome"] == "resolved"
    assert (answer.json["signal"]["attempt"], answer.json["signal"]["summary"]) == (9, "newer")


async def test_a_signal_that_is_written_to_without_end_is_not_called_resolved(
    world: ApiWorld, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await rows.failed()

    async def never(signal: Signal, etag: str) -> None:
        return None

    monkeypatch.setattr(world.stores.signals, "update", never)
    answer = await world.post(
        f"/ops/signals/{ids.failure_signal_id(run.run_id)}/resolve", {"note": "seen"}, token=RESOLVER
    )
    assert (answer.status, answer.code) == (503, "store_unavailable")


@pytest.mark.parametrize(
    "body_sent", [{}, {"note": ""}, {"note": "  "}, {"note": "x" * 501}, {"note": "a\x00b"}, {"n": 1}]
)
async def test_a_resolution_without_a_reason_is_none(world: ApiWorld, rows: Rows, body_sent: dict[str, Any]) -> None:
    run = await rows.failed()
    signal_id = ids.failure_signal_id(run.run_id)
    answer = await world.post(f"/ops/signals/{signal_id}/resolve", body_sent, token=RESOLVER)
    assert (answer.status, answer.code) == (400, "validation_failed")
    stored = await world.stores.signals.read(signal_id)
    assert stored is not None
    assert not stored.value.is_resolved


async def test_a_command_that_fails_again_after_the_resolution_is_on_the_list_again(world: ApiWorld) -> None:
    work = World(Work(["fail", "fail", "success"]))
    world.clock, world.stores = work.clock, work.stored
    await work.send()
    await work.deliver(work._next())  # type: ignore[arg-type]
    signal_id = ids.failure_signal_id(RUN_ID)
    answer = await world.post(f"/ops/signals/{signal_id}/resolve", {"note": "seen"}, token=RESOLVER)
    assert answer.json["outcome"] == "resolved"
    assert (await get(world, "signals"))["signals"] == []
    await work.deliver(work._next())  # type: ignore[arg-type]
    [again] = (await get(world, "signals"))["signals"]
    assert (again["signalId"], again["attempt"], again["isResolved"]) == (signal_id, 2, False)
    await work.run()
    assert (await get(world, "signals"))["signals"] == []
    [recovered] = (await get(world, "signals?state=all"))["signals"]
    assert (recovered["resolvedBy"], recovered["resolutionNote"]) == ("runtime", "recovered")


# --------------------------------------------------------------------------------------------------------------- trace


@pytest.fixture
def work() -> World:
    return World(Work(["fail"]))


async def operated(work: World) -> ApiWorld:
    world = ApiWorld(clock=work.clock)
    world.stores = work.stored
    return world


async def test_from_each_id_of_a_failed_command_to_the_same_story(work: World) -> None:
    world = await operated(work)
    await work.send()
    await work.run()
    run = await work.run_row()
    story = await get(world, f"trace/{COMMAND_ID}")
    assert story["foundAs"] == ["command", "message"]
    assert (story["commandId"], story["runId"], story["householdId"]) == (COMMAND_ID, RUN_ID, HOUSEHOLD)
    assert story["missing"] == []
    told = [entry["what"] for entry in story["timeline"]]
    assert told[:3] == ["recorded, and enqueued after", "reserved by the first delivery", "run begun"]
    assert told[-2:] == ["run NeedsReview, final", "Rejected; then the message is a dead letter"]
    assert [e["attempt"] for e in story["timeline"] if e["what"] == "stage work Failed"] == [1, 2, 3, 4, 5]
    assert any(e["code"] == "worker_command_failed" for e in story["timeline"])
    assert story["run"]["countedAttempts"] == story["run"]["maxAttempts"] == 5
    times = [entry["atUtc"] for entry in story["timeline"]]
    assert times == sorted(times)
    others = {
        RUN_ID: ["run"],
        ids.failure_signal_id(RUN_ID): ["signal"],
        run.correlation_id: ["correlation"],
    }
    for asked, found_as in others.items():
        again = await get(world, f"trace/{quote(asked, safe='')}")
        assert again["foundAs"] == found_as
        assert again | {"id": "", "foundAs": []} == story | {"id": "", "foundAs": []}


async def test_a_command_on_its_way_says_when_it_goes_on(work: World) -> None:
    world = await operated(work)
    await work.send()
    story = await get(world, f"trace/{COMMAND_ID}")
    assert [entry["source"] for entry in story["timeline"]] == ["AgentCommands"]
    assert ["no worker has begun it" in said for said in story["missing"]] == [True]
    for _ in range(2):
        await work.deliver(work._next())  # type: ignore[arg-type]
    story = await get(world, f"trace/{COMMAND_ID}")
    assert (story["run"]["isFinal"], story["run"]["countedAttempts"]) == (False, 2)
    assert story["timeline"][-1]["what"] == "the next attempt is due"
    assert story["timeline"][-1]["atUtc"] == story["run"]["nextAttemptAtUtc"]
    [listed] = (await get(world, "runs"))["runs"]
    assert (listed["countedAttempts"], listed["maxAttempts"]) == (2, 5)
    assert (await get(world, "lanes"))["lanes"][1]["recent"]["waiting"] == 1


async def test_a_message_that_never_decoded_is_found_by_its_id(work: World) -> None:
    world = await operated(work)
    for message_id in ("m-1", "a person's words, with a / in them"):
        await work.send(b"{not json", recorded=False, message_id=message_id)
        await work.run()
        story = await get(world, f"trace/{quote(ids.clean(message_id))}")
        assert story["foundAs"] == ["message"]
        assert (story["commandId"], story["runId"], story["queue"]) == (None, None, QUEUE)
        [entry] = story["timeline"]
        assert entry["code"] == "command_rejected"
        assert entry["rationale"].startswith("invalid_json: ")


async def test_what_was_sent_past_the_api_is_found_by_message_and_command(work: World) -> None:
    world = await operated(work)
    await work.send(recorded=False, message_id="of-a-stranger")
    await work.run()
    for asked in ("of-a-stranger", COMMAND_ID):
        story = await get(world, f"trace/{asked}")
        assert story["commandId"] == COMMAND_ID
        assert [entry["code"] for entry in story["timeline"]] == ["command_not_recorded"]
        assert "past the API" in story["missing"][0]


async def test_another_request_under_the_id_is_in_the_story_of_the_first(work: World) -> None:
    world = await operated(work)
    await work.send()
    await work.run()
    await work.send(body(message="another one"), message_id="second")
    await work.run()
    for asked in ("second", COMMAND_ID):
        story = await get(world, f"trace/{asked}")
        assert story["runId"] == RUN_ID
        assert "idempotency_hash_mismatch" in [entry["code"] for entry in story["timeline"]]


async def test_a_producers_own_correlation_id_is_looked_for_among_the_newest(world: ApiWorld, rows: Rows) -> None:
    run = await rows.run(correlation_id="feed-17")
    story = await get(world, "trace/feed-17")
    assert (story["foundAs"], story["runId"]) == (["correlation"], run.run_id)
    answer = await world.get("/ops/trace/feed-18", token=READER)
    assert (answer.status, answer.code) == (404, "not_found")
    assert "200" in answer.json["error"]["message"]


async def test_parts_that_are_missing_are_named(world: ApiWorld, rows: Rows) -> None:
    run = await rows.run(status=RunStatus.NEEDS_REVIEW, attempt=2, attempt_outcome=AttemptOutcome.SUCCEEDED)
    key = replace(records.KEY, queue=run.queue, command_id=run.command_id, status=KeyStatus.RESERVED)
    await world.stores.keys.insert(key)
    signal = await world.stores.signals.of_run(run.run_id)
    assert [s.severity for s in signal] == [Severity.WARNING]
    said = " ".join((await get(world, f"trace/{run.run_id}"))["missing"])
    assert "no stages of attempt 1, 2" in said
    assert "its key is Reserved" in said


async def test_storage_that_does_not_answer_is_503(world: ApiWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise StoreUnreachableError("AgentSignals: 503")

    monkeypatch.setattr(world.stores.signals, "about", away)
    answer = await world.get("/ops/trace/m-1", token=READER)
    assert (answer.status, answer.code) == (503, "store_unavailable")


# --------------------------------------------------------------------------------------------------------------- lanes


async def test_the_lanes_by_their_newest(world: ApiWorld, rows: Rows) -> None:
    last = await rows.run()
    await rows.failed()
    await rows.review()
    await rows.command()
    running = await rows.run(status=RunStatus.RUNNING, is_final=False, attempt_outcome=None, completed_at=None)
    lanes = {lane["lane"]: lane for lane in (await get(world, "lanes"))["lanes"]}
    assert set(lanes) == {"ingestion", "conversation", "sweep"}
    recent, open_signals = lanes["conversation"]["recent"], lanes["conversation"]["openSignals"]
    counted = {name: recent[name] for name in ("lookedAt", "notBegun", "running", "completed", "needsReview", "failed")}
    assert counted == {"lookedAt": 5, "notBegun": 1, "running": 1, "completed": 1, "needsReview": 1, "failed": 1}
    assert recent["failureRate"] == 0.3333
    assert datetime.fromisoformat(recent["oldestUnfinishedAtUtc"]) == running.created_at
    assert datetime.fromisoformat(recent["lastSuccessAtUtc"]) > last.created_at
    assert (open_signals["error"], open_signals["warning"], open_signals["isMore"]) == (1, 1, False)
    assert lanes["sweep"]["recent"]["failureRate"] is None
    for _ in range(100):
        await rows.failed()
    lanes = {lane["lane"]: lane for lane in (await get(world, "lanes"))["lanes"]}
    assert lanes["conversation"]["openSignals"]["isMore"] is True
    assert lanes["conversation"]["recent"]["lookedAt"] == 10


async def test_who_looked_is_logged(world: ApiWorld, rows: Rows, caplog: pytest.LogCaptureFixture) -> None:
    run = await rows.run()
    paths = ["runs", f"runs/{run.run_id}", "signals", f"trace/{run.run_id}", "lanes"]
    paths.append(f"approvals?householdId={ALICE_HOUSEHOLD}")
    for path in paths:
        caplog.clear()
        with caplog.at_level(logging.INFO):
            await get(world, path)
        [line] = [r for r in caplog.records if r.getMessage().startswith("an operator looked at")]
        assert line.__dict__["subject"] == "olga"
