"""The routes that read: a household sees its own, and another's ids answer as those that do not exist."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from mosaic_core.domain import ids
from mosaic_core.domain.assignment import Assignee, assignee
from mosaic_core.domain.errors import RequestError, StoreUnreachableError
from mosaic_core.domain.lifecycle import (
    ApprovalStatus,
    AttemptOutcome,
    DecisionOutcome,
    RunStatus,
    Severity,
    StageStatus,
)
from mosaic_core.domain.policy.approval import CLOCK_SLACK, Action
from mosaic_core.domain.records import Approval, Decision, Run, Signal, Stage
from mosaic_core.services import health
from mosaic_core.services.read_models import STREAM_LOOKED_AT, STREAM_RUNS
from tests.support import records
from tests.support.api import ALICE_HOUSEHOLD, ALICE_USER, BOB_HOUSEHOLD, CONVERSATION, ApiWorld

QUEUE = "runtime-agent-message-posted"
STREAM = f"/conversations/{CONVERSATION}/stream"


@pytest.fixture
async def world() -> ApiWorld:
    return await ApiWorld().with_members()


class History:
    """Puts rows where the worker would."""

    def __init__(self, world: ApiWorld) -> None:
        self.world = world
        self.stores = world.stores

    async def command(self, number: int, created: datetime | None = None, household: str = ALICE_HOUSEHOLD) -> str:
        command_id = f"{number:032x}"
        moment = created or self.world.clock.now() + timedelta(seconds=number)
        await self.stores.commands.index_conversation(household, CONVERSATION, moment, QUEUE, command_id)
        return command_id

    async def run(self, number: int, household: str = ALICE_HOUSEHOLD, **changes: Any) -> Run:
        command_id = await self.command(number, household=household)
        created = self.world.clock.now() + timedelta(seconds=number)
        run = Run(
            run_id=ids.run_id(QUEUE, command_id),
            household_id=household,
            conversation_id=CONVERSATION,
            command_id=command_id,
            command_type="agent_message_posted",
            correlation_id=f"agent:{household}:{CONVERSATION}:{command_id}",
            queue=QUEUE,
            policy_version="1",
            request_hash="0" * 64,
            status=RunStatus.COMPLETED,
            is_final=True,
            attempt=1,
            attempt_outcome=AttemptOutcome.SUCCEEDED,
            agent_name="offline-ledger-agent",
            agent_source="rules/1; 2 ledger rows",
            agent_note_summary="You spent 12.50 EUR.",
            created_at=created,
            last_modified_at=created,
            completed_at=created,
        )
        run = replace(run, **changes)
        await self.stores.runs.insert(run)
        return run

    async def stage(self, run: Run, order: int, attempt: int = 1, **changes: Any) -> Stage:
        stage = Stage(
            run_id=run.run_id,
            command_id=run.command_id,
            correlation_id=run.correlation_id,
            queue=run.queue,
            attempt=attempt,
            order=order,
            name=f"stage-{order}",
            executor="test/1",
            status=StageStatus.SUCCEEDED,
            confidence=1.0,
            outcome_code="done",
            outcome_rationale="it went well",
            started_at=run.created_at,
            completed_at=run.created_at,
        )
        return replace(stage, **changes)

    async def approval(self, run: Run, number: int = 1, **changes: Any) -> Approval:
        approval = Approval(
            approval_id=f"{number:032x}",
            household_id=run.household_id,
            conversation_id=CONVERSATION,
            run_id=run.run_id,
            command_id=run.command_id,
            requested_by=ALICE_USER,
            action_kind="transfer",
            action_summary="transfer money",
            action_hash="0" * 64,
            policy_version="1",
            status=ApprovalStatus.PENDING,
            created_at=run.created_at,
            expires_at=run.created_at + timedelta(hours=72),
        )
        approval = replace(approval, **changes)
        await self.stores.approvals.insert(approval)
        return approval


@pytest.fixture
def history(world: ApiWorld) -> History:
    return History(world)


# -------------------------------------------------------------------------------------------------------------- stream


async def test_a_conversation_s_runs_newest_first_with_stage_and_provenance(world: ApiWorld, history: History) -> None:
    await history.run(1)
    run = await history.run(2)
    answer_stage = await history.stage(run, 2, confidence=0.9, provenance=("tx-1", "tx-2"), outcome_code="answered")
    await world.stores.stages.insert_all(
        [await history.stage(run, 1), answer_stage, await history.stage(run, 3, name="close")]
    )
    answer = await world.get(STREAM)

    assert answer.status == 200
    body = answer.json
    assert body["conversationId"] == CONVERSATION
    assert body["asOfUtc"] == "2026-03-01T08:00:00Z"
    assert [r["commandId"] for r in body["runs"]] == [f"{n:032x}" for n in (2, 1)]
    newest = body["runs"][0]
    assert newest["latestStage"]["name"] == "close"
    assert newest["provenance"] == {
        "agentName": "offline-ledger-agent",
        "agentSource": "rules/1; 2 ledger rows",
        "noteSummary": "You spent 12.50 EUR.",
        "confidence": 0.9,
        "rows": ["tx-1", "tx-2"],
        "rowCount": 2,
    }
    assert newest["lastModifiedAtUtc"] == "2026-03-01T08:00:02Z"
    assert body["runs"][1]["latestStage"] is None


async def test_many_ledger_rows_are_counted_and_cut_in_the_stream_only(world: ApiWorld, history: History) -> None:
    run = await history.run(1)
    rows = tuple(f"tx-{n}" for n in range(60))
    await world.stores.stages.insert_all([await history.stage(run, 1, provenance=rows)])
    streamed = (await world.get(STREAM)).json["runs"][0]["provenance"]
    assert (len(streamed["rows"]), streamed["rowCount"]) == (50, 60)
    detail = (await world.get(f"/runs/{run.run_id}")).json["run"]["provenance"]
    assert detail["rows"] == list(rows)


async def test_stages_show_through_the_run_s_attempt_only(world: ApiWorld, history: History) -> None:
    run = await history.run(1, attempt=2, status=RunStatus.RUNNING, is_final=False, attempt_outcome=None)
    await world.stores.stages.insert_all([await history.stage(run, 1, attempt=1, provenance=("tx-1",))])
    await world.stores.stages.insert_all([await history.stage(run, 1, attempt=3, name="from the future")])
    streamed = (await world.get(STREAM)).json["runs"][0]
    assert streamed["latestStage"] is None
    assert streamed["provenance"]["rows"] == []
    detail = (await world.get(f"/runs/{run.run_id}")).json
    assert [(s["attempt"], s["order"]) for s in detail["stages"]] == [(1, 1)]


async def test_at_most_fifty_runs(world: ApiWorld, history: History) -> None:
    for number in range(1, STREAM_RUNS + 6):
        await history.run(number)
    runs = (await world.get(STREAM)).json["runs"]
    assert [r["commandId"] for r in runs] == [f"{n:032x}" for n in range(STREAM_RUNS + 5, 5, -1)]


@pytest.mark.parametrize("between", [0, STREAM_RUNS])
async def test_a_command_that_is_listed_at_two_places_has_one_run(
    world: ApiWorld, history: History, between: int
) -> None:
    """As earlier versions may have left it: once by the recorded time, once by the message's own; with messages in
    between that no worker has begun."""
    for number in range(3):
        await history.run(number)
    for number in range(between):
        await history.command(1000 + number, world.clock.now() - timedelta(minutes=1 + number))
    for days in (1, 200):
        await history.command(1, world.clock.now() - timedelta(days=days))
    runs = (await world.get(STREAM)).json["runs"]
    assert [run["commandId"] for run in runs] == [f"{number:032x}" for number in (2, 1, 0)]


async def test_since_counts_the_modification_not_the_age(world: ApiWorld, history: History) -> None:
    later = world.clock.now() + timedelta(hours=1)
    await history.run(1, last_modified_at=later)
    for number in range(2, STREAM_RUNS + 10):
        await history.run(number)
    for text in ("2026-03-01T09:00:00Z", "2026-03-01T10:00:00%2B01:00", "2026-03-01T10:00:00+01:00"):
        runs = (await world.get(f"{STREAM}?sinceUtc={text}")).json["runs"]
        assert [r["commandId"] for r in runs] == [f"{1:032x}"]
    nothing = await world.get(f"{STREAM}?sinceUtc=2026-03-01T09:00:01Z")
    assert (nothing.status, nothing.json["runs"]) == (200, [])


async def test_the_stream_reads_a_bounded_number_of_rows(
    world: ApiWorld, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 260):  # a number of its own: with the constant's every bound is kept
        await history.command(number)
    read = []
    original = world.stores.runs.read

    async def counted(run_id: str) -> Any:
        read.append(run_id)
        return await original(run_id)

    monkeypatch.setattr(world.stores.runs, "read", counted)
    assert (await world.get(f"{STREAM}?sinceUtc=2026-01-01T00:00:00Z")).json["runs"] == []
    assert len(read) == STREAM_LOOKED_AT


@pytest.mark.parametrize(
    "text",
    ["yesterday", "2026-03-01", "2026-03-01T08:00:00", "1740000000", "0001-01-01T00:00:00%2B23:00", "' or 1 eq 1"],
)
async def test_a_bad_since_is_400(world: ApiWorld, text: str) -> None:
    answer = await world.get(f"{STREAM}?sinceUtc={text}")
    assert (answer.status, answer.code, answer.fields) == (400, "validation_failed", ["sinceUtc"])


async def test_another_household_s_conversation_is_not_there(world: ApiWorld, history: History) -> None:
    await history.run(1)
    foreign = await world.get(STREAM, token="bob")
    absent = await world.get(f"/conversations/{'f' * 32}/stream", token="bob")
    assert (foreign.status, foreign.code) == (404, "not_found")
    assert foreign.json["error"]["message"] == absent.json["error"]["message"]


async def test_a_run_of_another_household_is_in_no_stream(world: ApiWorld, history: History) -> None:
    mine = await history.run(1)
    foreign = await history.run(2, household=BOB_HOUSEHOLD)
    await history.command(2)  # the index says so, the run knows better
    assert foreign.run_id == ids.run_id(QUEUE, await history.command(2))
    runs = (await world.get(STREAM)).json["runs"]
    assert [r["runId"] for r in runs] == [mine.run_id]


async def test_a_conversation_is_there_from_its_first_message_on(world: ApiWorld) -> None:
    assert (await world.get(STREAM)).status == 404
    await world.post(f"/conversations/{CONVERSATION}/messages", {"message": "hi"})
    answer = await world.get(STREAM)
    assert (answer.status, answer.json["runs"]) == (200, [])


async def test_pending_approvals_come_with_the_conversation(world: ApiWorld, history: History) -> None:
    run = await history.run(1)
    waiting = await history.approval(run, 1)
    await history.approval(run, 2, status=ApprovalStatus.APPROVED)
    await history.approval(run, 3, expires_at=world.clock.now() - CLOCK_SLACK)
    await history.approval(run, 4, conversation_id="f" * 32)
    body = (await world.get(STREAM)).json
    assert [a["approvalId"] for a in body["pendingApprovals"]] == [waiting.approval_id]
    assert body["runs"][0]["pendingApprovalIds"] == [waiting.approval_id]


# ----------------------------------------------------------------------------------------------------------------- run


async def test_a_run_with_all_that_was_recorded_of_it(world: ApiWorld, history: History) -> None:
    run = await history.run(
        1,
        status=RunStatus.NEEDS_REVIEW,
        attempt_outcome=AttemptOutcome.SUCCEEDED_REVIEW,
        failure_code="approval_required",
        failure_rationale="an approval is pending",
    )
    await world.stores.stages.insert_all([await history.stage(run, 1)])
    await world.stores.signals.insert(
        Signal(
            signal_id="5" * 32,
            queue=QUEUE,
            signal_code="approval_required",
            severity=Severity.WARNING,
            summary="an approval is pending",
            requires_human_review=True,
            raised_at=run.created_at,
            run_id=run.run_id,
            household_id=run.household_id,
            attempt=1,
        )
    )
    await world.stores.decisions.insert(
        Decision(
            decision_id="6" * 32,
            run_id=run.run_id,
            household_id=run.household_id,
            actor="policy/1",
            action="transfer",
            outcome=DecisionOutcome.DEFERRED,
            reason_code="high_impact",
            rationale="a person decides",
            policy_version="1",
            confidence=0.9,
            decided_at=run.created_at,
        )
    )
    answer = await world.get(f"/runs/{run.run_id}")
    assert answer.status == 200
    body = answer.json
    assert body["run"]["status"] == "NeedsReview"
    assert body["run"]["failureCode"] == "approval_required"
    assert body["run"]["attemptOutcome"] == "succeeded_review"
    assert [s["name"] for s in body["stages"]] == ["stage-1"]
    assert body["signals"][0]["severity"] == "Warning"
    assert body["signals"][0]["requiresHumanReview"] is True
    assert body["decisions"][0]["outcome"] == "Deferred"


async def test_another_household_s_run_is_not_there(world: ApiWorld, history: History) -> None:
    run = await history.run(1, household=BOB_HOUSEHOLD)
    foreign = await world.get(f"/runs/{run.run_id}")
    absent = await world.get(f"/runs/{'f' * 32}")
    assert (foreign.status, foreign.code) == (404, "not_found")
    assert foreign.json["error"]["message"] == absent.json["error"]["message"]
    assert (await world.get(f"/runs/{run.run_id}", token="bob")).status == 200


async def test_a_bad_run_id_is_400(world: ApiWorld) -> None:
    assert (await world.get("/runs/7")).fields == ["runId"]


@pytest.mark.parametrize(
    ("changes", "undecided", "hint"),
    [
        ({}, False, None),
        ({"status": RunStatus.RUNNING, "is_final": False, "attempt_outcome": None}, False, None),
        ({"attempt_outcome": AttemptOutcome.SUCCEEDED_REVIEW}, False, "household_member"),
        (
            {"attempt_outcome": AttemptOutcome.SUCCEEDED_REVIEW, "failure_code": "approval_required"},
            True,
            "household_member",
        ),
        ({"attempt_outcome": AttemptOutcome.SUCCEEDED_REVIEW, "failure_code": "approval_required"}, False, None),
        ({"attempt_outcome": AttemptOutcome.FAILED, "is_final": False}, False, None),
        ({"attempt_outcome": AttemptOutcome.FAILED}, False, "operator"),
    ],
)
async def test_who_should_look_at_a_run_next(
    world: ApiWorld, history: History, changes: dict[str, Any], undecided: bool, hint: str | None
) -> None:
    review = {"status": RunStatus.NEEDS_REVIEW, "failure_code": "code", "failure_rationale": "why"}
    run = await history.run(1, **({**review, **changes} if changes else {}))
    if undecided:  # also where its time is over: somebody has to ask again, or not
        await history.approval(run, 1, expires_at=world.clock.now() - CLOCK_SLACK)
    assert (await world.get(f"/runs/{run.run_id}")).json["run"]["assignmentHint"] == hint


def test_where_policy_wants_another_person_the_hint_says_so() -> None:
    run = replace(
        records.RUN, status=RunStatus.NEEDS_REVIEW, is_final=True, attempt_outcome=AttemptOutcome.SUCCEEDED_REVIEW
    )
    assert assignee(run, has_undecided_approvals=True, require_other_person=True) == Assignee.ANOTHER_HOUSEHOLD_MEMBER


# ----------------------------------------------------------------------------------------------------------- approvals


async def test_an_approval_shows_the_exact_action_and_what_came_of_it(world: ApiWorld, history: History) -> None:
    run = await history.run(1)
    action = Action("draft_message", {"recipient": "Ann", "channel": "email", "body": "x" * 300})
    draft = {
        "kind": "external_message",
        "recipient": "Ann",
        "channel": "email",
        "subject": None,
        "body": "x" * 300,
        "instruction": "send it yourself",
    }
    await history.approval(
        run,
        approval_id=ids.approval_id(run.run_id, action.hash),
        action_hash=action.hash,
        action_json=action.json,
        status=ApprovalStatus.APPROVED,
        carried_out_at=run.created_at,
        draft=json.dumps(draft),
    )
    (shown,) = (await world.get("/approvals?status=approved")).json["approvals"]
    assert shown["action"] == {"name": "draft_message", "arguments": dict(action.arguments)}
    assert shown["draft"] == draft
    assert shown["carriedOutAtUtc"]


async def test_an_action_that_was_changed_since_is_not_shown(world: ApiWorld, history: History) -> None:
    run = await history.run(1)
    asked, changed = Action("pay", {"amount": "10"}), Action("pay", {"amount": "1000"})
    await history.approval(run, action_hash=asked.hash, action_json=changed.json)
    (shown,) = (await world.get("/approvals")).json["approvals"]
    assert (shown["action"], shown["draft"], shown["carriedOutAtUtc"]) == (None, None, None)


async def test_approvals_by_their_state_now(world: ApiWorld, history: History) -> None:
    run = await history.run(1)
    now = world.clock.now()
    await history.approval(run, 1, created_at=now)
    await history.approval(run, 2, created_at=now + timedelta(seconds=1), status=ApprovalStatus.REJECTED)
    await history.approval(run, 3, created_at=now + timedelta(seconds=2), expires_at=now - CLOCK_SLACK)
    await history.approval(run, 4, created_at=now + timedelta(seconds=3), status=ApprovalStatus.EXPIRED)

    async def listed(query: str) -> list[int]:
        answer = await world.get(f"/approvals{query}")
        assert answer.status == 200
        return [int(a["approvalId"], 16) for a in answer.json["approvals"]]

    assert await listed("") == [4, 3, 2, 1]
    assert await listed("?status=pending") == [1]
    assert await listed("?status=expired") == [4, 3]
    assert await listed("?status=rejected") == [2]
    assert await listed("?status=approved") == []
    assert (await world.get("/approvals", token="bob")).json == {"approvals": [], "nextCursor": None}


@pytest.mark.parametrize("status", ["Pending", "open", "' or 1 eq 1", "pending,approved"])
async def test_an_unknown_approval_state_is_400(world: ApiWorld, status: str) -> None:
    answer = await world.get(f"/approvals?status={status}")
    assert (answer.status, answer.fields) == (400, ["status"])


async def test_tables_that_do_not_answer_are_503(world: ApiWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise StoreUnreachableError("no answer")

    monkeypatch.setattr(world.stores.approvals, "listed", away)
    answer = await world.get("/approvals")
    assert (answer.status, answer.code) == (503, "store_unavailable")


# -------------------------------------------------------------------------------------------------------------- health


BUILD = {"version": "9.9.9", "commit": "abcdef0", "packageDigest": "0" * 64}


async def test_ready_while_everything_answers(world: ApiWorld) -> None:
    answer = await world.get("/health/ready", token="ops+Mosaic.Operator.Read")
    assert answer.status == 200
    assert answer.json == {
        "status": "ready",
        **BUILD,
        "dependencies": [
            {"name": name, "state": "up", "required": True, "reason": None, "parts": []}
            for name in ("tables", "queues")
        ],
    }


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
@pytest.mark.parametrize("up", [True, False])
@pytest.mark.parametrize("token", [None, "alice", "alice+Mosaic.Ingest", "forged", "ops+Mosaic.Operator.Replay"])
async def test_which_code_answers_is_for_operators(world: ApiWorld, path: str, up: bool, token: str | None) -> None:
    world.probes[0].up = up
    asked = await world.get(path, token="ops+Mosaic.Operator.Read")
    answer = await world.get(path, token=token)
    assert answer.status == asked.status == (503 if path.endswith("ready") and not up else 200)
    assert {name: answer.json[name] for name in BUILD} == dict.fromkeys(BUILD)
    assert {name: asked.json[name] for name in BUILD} == BUILD
    assert answer.json | BUILD == asked.json


async def test_health_is_told_while_the_issuer_is_away(world: ApiWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise RequestError("identity_unavailable", "no keys")

    monkeypatch.setattr("tests.support.api.StaticVerifier.verify", away)
    answer = await world.get("/health/ready", token="ops+Mosaic.Operator.Read")
    assert (answer.status, answer.json["commit"]) == (200, None)


async def test_not_ready_where_one_does_not_answer_and_names_no_endpoint(world: ApiWorld) -> None:
    world.probes[1].up = False
    answer = await world.get("/health/ready", token=None)
    assert answer.status == 503
    assert answer.json["status"] == "not_ready"
    assert answer.json["dependencies"][1] | {"required": True, "parts": []} == {
        "name": "queues",
        "state": "down",
        "required": True,
        "reason": "unreachable",
        "parts": [],
    }
    assert b"example" not in answer.body
    assert (await world.get("/health/live", token=None)).status == 200


async def test_what_is_not_required_is_named_and_the_instance_is_ready(world: ApiWorld) -> None:
    world.probes[1].up = world.probes[1].required = False
    answer = await world.get("/health/ready", token=None)
    assert (answer.status, answer.json["status"]) == (200, "ready")
    assert (answer.json["dependencies"][1]["state"], answer.json["dependencies"][1]["required"]) == ("down", False)


async def test_many_callers_ask_the_dependencies_once(world: ApiWorld) -> None:
    for _ in range(10):
        await world.get("/health/ready", token=None)
    assert [probe.asked for probe in world.probes] == [1, 1]
    world.clock.advance(health.GOOD_SECONDS)
    world.probes[1].up = False
    await world.get("/health/ready", token=None)
    assert [probe.asked for probe in world.probes] == [2, 2]
    # what is away is looked at again sooner
    for _ in range(10):
        world.clock.advance(health.BAD_SECONDS / 4)
        await world.get("/health/ready", token=None)
    assert [probe.asked for probe in world.probes] == [2, 4]


async def test_liveness_asks_nobody(world: ApiWorld) -> None:
    answer = await world.get("/health/live", token=None)
    assert (answer.json["status"], answer.json["dependencies"]) == ("live", [])
    assert [probe.asked for probe in world.probes] == [0, 0]


async def test_the_document_is_served(world: ApiWorld) -> None:
    answer = await world.get("/openapi.json", token=None)
    assert json.loads(answer.body)["openapi"] == "3.1.0"
