"""The demo's story: ingest two years of a household, ask, request, approve, sweep, and let things go wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from mosaic_core.adapters.tables import open_table_stores
from mosaic_core.config import Connection
from mosaic_core.domain import ids
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_core.domain.reasons import DeadLetterReason
from mosaic_core.domain.records import Signal
from mosaic_core.ports import Stores
from mosaic_local.demo import promises
from mosaic_local.demo.doors import Doors
from mosaic_local.demo.journey import Journey, Sent, ended, read
from mosaic_local.demo.promises import Check, same
from mosaic_local.demo.report import Report
from mosaic_local.recording import record
from mosaic_local.sample import sample_household
from mosaic_local.sample.household import HOUSEHOLD_ID, SOURCE
from mosaic_local.stack import Stack

CONVERSATION = ids.derive("demo", "conversation")
QUESTION = "How much did we spend on groceries last month?"
REQUEST = "Please wire 500 dollars to our landlord today."
CONVERSATION_QUEUE = RULES[Lane.CONVERSATION].default_queue
SWEEP_QUEUE = RULES[Lane.SWEEP].default_queue
WAIT_SECONDS = 30.0


class Scenario:
    """``night`` is the night whose sweeps are due; the sample ledger ends on it. ``months`` of it are ingested."""

    def __init__(self, stack: Stack, report: Report, *, night: datetime, months: int) -> None:
        self._stack = stack
        self._report = report
        self._night = night.date()
        self._sample = sample_household(self._night)
        self._since = self._night - timedelta(days=31 * months)
        self._all_of_it = months >= 24
        self._journeys: list[Journey] = []

    async def play(self) -> None:
        tables = open_table_stores(
            Connection(connection_string=self._stack.settings["TablesConnection"]),
            Connection(connection_string=self._stack.settings["BlobsConnection"]),
        )
        async with Doors(self._stack) as doors:
            try:
                await self._play(doors, tables.stores)
            finally:
                await tables.close()

    async def _play(self, doors: Doors, stores: Stores) -> None:
        report = self._report
        report.say(f"1  Ingesting the sample household's ledger up to {self._night} …")
        doors.listen()
        # the links that are needed later are opened meanwhile
        ingested, *_ = await asyncio.gather(self._ingest(doors, stores), doors.left(), doors.dead_letters())
        report.say("2  A question, a high-impact request, a command that fails once, one that always fails, bad JSON …")
        question, request, flaky, doomed = await asyncio.gather(
            self._message(doors, "question", QUESTION, "demo-question"),
            self._message(doors, "high-impact request", REQUEST, "demo-request"),
            self._message(doors, "fails once, recovers", "What are our largest expenses?", "drill-fail-1-demo"),
            self._message(doors, "exhausts its attempts", "What did we spend in May?", "drill-fail-always-demo"),
        )
        await doors.send(CONVERSATION_QUEUE, b'{"commandId": "1', message_id="demo-invalid-json")
        await ended(stores, [question, request, flaky, doomed], seconds=WAIT_SECONDS)
        answered = await self._read(stores, question)
        report.say("3  The answered question comes once more, as a duplicate …")
        await self._duplicate(doors, stores, question)
        await self._judge_events(doors, stores, [question, request, flaky, doomed])
        report.say("4  kill -9 of the worker while the request waits; then a person approves it, in another process …")
        await self._kill_the_worker()
        approval = await self._approve(doors, stores, request)
        report.say("5  The nightly sweep, twice: the same night raises nothing twice …")
        sweeps = await self._sweep(doors, stores)
        await self._drained(doors)
        await self._judge(doors, stores, [*ingested, question, request, approval, flaky, doomed, *sweeps], answered)

    # --------------------------------------------------------------------------------------------------- the steps

    async def _ingest(self, doors: Doors, stores: Stores) -> list[Sent]:
        batches = []
        for batch in self._sample.batches():
            rows = [row for row in batch.transactions if row["postedOn"] >= self._since.isoformat()]
            if rows:
                batches.append(
                    {
                        "batchId": batch.batch_id,
                        "source": SOURCE,
                        "accountId": batch.account_id,
                        "transactions": rows,
                    }
                )
        path = f"/households/{HOUSEHOLD_ID}/ingestions"
        answers = await asyncio.gather(*(doors.call("POST", path, body=body) for body in batches))
        sent = [self._accepted(f"ingest {n}", status, answer) for n, (status, answer) in enumerate(answers, start=1)]
        again = await doors.call("POST", path, body=batches[0])
        self._report.check(
            [same("ingest: the same batch again is the same command", again[1].get("commandId"), sent[0].command_id)]
        )
        await ended(stores, sent, seconds=WAIT_SECONDS)
        rows_sent = sum(len(body["transactions"]) for body in batches)
        stored = await stores.ledger.between(HOUSEHOLD_ID, self._since, self._night)
        self._report.check(
            [
                same("ingest: every transaction is in the ledger once", len(stored), rows_sent),
                Check("ingest: each has a category and a confidence", all(t.category for t in stored)),
            ]
        )
        return sent

    async def _message(self, doors: Doors, step: str, text: str, client_id: str) -> Sent:
        status, answer = await doors.call(
            "POST", f"/conversations/{CONVERSATION}/messages", body={"message": text, "clientMessageId": client_id}
        )
        return self._accepted(step, status, answer)

    def _accepted(self, step: str, status: int, answer: dict[str, Any]) -> Sent:
        self._report.check([same(f"{step}: accepted with 202", (status, answer.get("status")), (202, "queued"))])
        if status != 202:
            raise RuntimeError(f"{step} was not accepted: {status} {answer}")
        return Sent(step=step, queue=answer["queue"], command_id=answer["commandId"])

    async def _kill_the_worker(self) -> None:
        before = self._stack.pids["worker"]
        await asyncio.to_thread(self._stack.kill_worker)
        await asyncio.to_thread(self._stack.wait_worker)
        self._report.check(
            [Check("approval: the worker that asked is dead", self._stack.pids["worker"] != before, str(before))]
        )

    async def _approve(self, doors: Doors, stores: Stores, request: Sent) -> Sent:
        _, pending = await doors.call("GET", "/approvals?status=pending")
        run = ids.run_id(request.queue, request.command_id)
        mine = [a for a in pending.get("approvals", []) if a.get("runId") == run]
        self._report.check(
            [
                same("high-impact request: exactly one approval is pending for it", len(mine), 1),
                same("approval: shows the exact request", mine[0]["action"]["arguments"], {"message": REQUEST}),
                same("approval: nothing was drafted before the decision", mine[0]["draft"], None),
            ]
        )
        path = f"/conversations/{CONVERSATION}/approvals/{mine[0]['approvalId']}"
        decision = {"decision": "Approve", "rationale": "the rent is due", "clientApprovalId": "demo-approval"}
        stranger, _ = await doors.call("POST", path, body=decision, user="bob")
        nobody, _ = await doors.call("POST", path, body=decision, user=None)
        undecided, _ = await doors.call("POST", path, body={"rationale": "hm"})
        self._report.check(
            [
                same("approval: another household gets 404", stranger, 404),
                same("approval: without a token 401", nobody, 401),
                same("approval: without a decision 400", undecided, 400),
            ]
        )
        status, answer = await doors.call("POST", path, body=decision)
        sent = self._accepted("approval", status, answer)
        await ended(stores, [sent], seconds=WAIT_SECONDS)
        _, decided = await doors.call("GET", "/approvals?status=approved")
        (approved,) = [a for a in decided.get("approvals", []) if a.get("runId") == run] or [{}]
        draft = approved.get("draft") or {}
        run_of_decision = ids.run_id(sent.queue, sent.command_id)
        _, shown = await doors.call("GET", f"/runs/{run_of_decision}")
        outcomes = [decision["outcome"] for decision in shown.get("decisions", [])]
        self._report.check(
            [
                same("approval: recorded as approved", approved.get("status"), "approved"),
                same(
                    "approval: carried out in a run of its own",
                    approved.get("decisionRunId"),
                    run_of_decision,
                ),
                same("approval: its run shows the household what became of it", outcomes, ["Applied"]),
                same("approval: came to a draft for a person; the system sent nothing", draft.get("body"), REQUEST),
            ]
        )
        return sent

    async def _duplicate(self, doors: Doors, stores: Stores, question: Sent) -> None:
        before = await self._read(stores, question)
        command = await stores.commands.read(question.command_id)
        if command is None:
            raise RuntimeError("the question is not recorded")
        await doors.send(
            question.queue, command.envelope.encode(), message_id=question.command_id, properties={"recorded": True}
        )
        await self._drained(doors)
        after = await self._read(stores, Sent(step="duplicate", queue=question.queue, command_id=question.command_id))
        self._report.check(promises.untouched(after, before))

    async def _sweep(self, doors: Doors, stores: Stores) -> list[Sent]:
        ran = [await doors.run_timer("nightly_sweep_timer") for _ in range(2)]
        self._report.check([same("sweep: the timer ran", ran, [202, 202])])
        self._report.check([same("lanes: their timer looks at them", await doors.run_timer("lanes_watch_timer"), 202)])
        night = f"{self._night:%Y%m%d}"
        first = Sent(step="nightly sweep", queue=SWEEP_QUEUE, command_id=ids.sweep_command_id(HOUSEHOLD_ID, night))
        await ended(stores, [first], seconds=WAIT_SECONDS)
        raised = await stores.signals.of_run(ids.run_id(first.queue, first.command_id))
        if self._all_of_it:
            kinds = [p.kind for p in self._sample.planted]
            self._report.check([promises.findings([s.signal_code for s in raised], kinds)])
        second = await self._second_sweep(doors, stores, raised)
        return [first, second]

    async def _second_sweep(self, doors: Doors, stores: Stores, raised: Sequence[Signal]) -> Sent:
        """Another sweep command over the same ledger, recorded as the app's timer does."""
        command_id = ids.derive("demo", "second sweep", self._night.isoformat())
        envelope = {
            "commandId": command_id,
            "correlationId": f"sweep:{HOUSEHOLD_ID}:{self._night:%Y%m%d}:{command_id}",
            "commandType": "nightly_anomaly_sweep",
            "createdAtUtc": f"{self._night.isoformat()}T03:00:00Z",
            "payload": {"householdId": HOUSEHOLD_ID, "sweepDate": self._night.isoformat(), "lookbackDays": 730},
        }
        second = Sent(step="second sweep", queue=SWEEP_QUEUE, command_id=command_id)
        body = json.dumps(envelope).encode()
        await record(stores, Lane.SWEEP, SWEEP_QUEUE, body)
        await doors.send(SWEEP_QUEUE, body, message_id=command_id)
        await ended(stores, [second], seconds=WAIT_SECONDS)
        again = await stores.signals.of_run(ids.run_id(SWEEP_QUEUE, command_id))
        self._report.check(
            [
                Check("sweep: it raised something", bool(raised)),
                same("second sweep: raises nothing again", [s.signal_code for s in again], []),
            ]
        )
        return second

    async def _drained(self, doors: Doors) -> None:
        """Until no message is left to be delivered."""
        async with asyncio.timeout(WAIT_SECONDS):
            while await doors.left():  # noqa: ASYNC110 - the broker pushes no such event
                await asyncio.sleep(0.1)

    # --------------------------------------------------------------------------------------------------- the verdict

    async def _judge(self, doors: Doors, stores: Stores, sent: Sequence[Sent], answered: Journey) -> None:
        report = self._report
        dead = await doors.dead_letters()
        journeys = {one.step: await read(stores, one, dead) for one in sent}
        for step, journey in journeys.items():
            if step.startswith("ingest"):
                unsure = journey.run is not None and journey.run.failure_code == "uncertain_category"
                report.check(
                    promises.for_review(journey, "uncertain_category") if unsure else promises.completed(journey)
                )
        report.check(promises.completed(journeys["question"]))
        report.check([await self._figure_is_computed(stores, journeys["question"])])
        request = journeys["high-impact request"]
        report.check(promises.for_review(request, "approval_required"))
        review = request.signal("approval_required")
        report.check(
            [
                same("approval: closes the request's review signal", review and review.is_resolved, True),
                same("approval: on the audit trail", [d.outcome for d in journeys["approval"].decisions], ["Applied"]),
            ]
        )
        for step in ("approval", "nightly sweep", "second sweep"):
            report.check(promises.completed(journeys[step]))
        report.check(promises.recovered(journeys["fails once, recovers"], attempts=2))
        report.check(promises.exhausted(journeys["exhausts its attempts"]))
        await self._judge_poison(stores, dead)
        self._judge_trace(journeys["question"])
        report.journeys(list(journeys.values()))
        report.promises()

    async def _figure_is_computed(self, stores: Stores, journey: Journey) -> Check:
        """The figure in the answer is the sum of the ledger rows that the answer names."""
        rows = {row for stage in journey.stages if stage.name == "answer" for row in stage.provenance}
        ledger = await stores.ledger.between(HOUSEHOLD_ID, self._since, self._night)
        total = abs(sum((t.amount for t in ledger if t.transaction_id in rows), Decimal(0)))
        note = (journey.run.agent_note_summary or "") if journey.run else ""
        shown = f"{total:,.2f}"
        return Check(f"question: the answer's figure ({shown}) is the sum of its {len(rows)} rows", shown in note, note)

    async def _judge_poison(self, stores: Stores, dead: Sequence[tuple[str, Any]]) -> None:
        reasons = [m.dead_letter_reason for _, m in dead if m.message_id == "demo-invalid-json"]
        stored = await stores.signals.read(
            ids.rejected_message_signal_id(CONVERSATION_QUEUE, "demo-invalid-json", DeadLetterReason.INVALID_JSON.value)
        )
        signal = stored.value if stored else None
        self._report.check(
            [
                same("invalid JSON: dead-lettered invalid_json", reasons, [DeadLetterReason.INVALID_JSON.value]),
                same(
                    "invalid JSON: command_rejected asks for a person",
                    signal and (signal.signal_code, signal.requires_human_review),
                    ("command_rejected", True),
                ),
            ]
        )

    async def _judge_events(self, doors: Doors, stores: Stores, sent: Sequence[Sent]) -> None:
        """Read before the worker is killed: what it has not told the hub by then, nobody tells."""
        journeys = {one.step: await self._read(stores, one) for one in sent}
        wanted = {
            "question": ["enqueued", "started", "completed", "duplicate"],
            "fails once, recovers": ["attempt_failed", "completed"],
            "exhausts its attempts": ["attempt_failed", "dead_lettered"],
            "high-impact request": ["needs_review"],
        }

        def checks(told: Sequence[dict[str, Any]]) -> list[Check]:
            return [promises.events(journeys[step], told, kinds) for step, kinds in wanted.items()]

        told = await doors.events(lambda told: all(check.holds for check in checks(told)), seconds=WAIT_SECONDS)
        self._report.check(checks(told))

    def _judge_trace(self, question: Journey) -> None:
        spans = [json.loads(line) for line in self._spans()]
        self._report.check(promises.trace(question, spans, ["IdempotencyKeys", "AgentRuns", "AgentRunStages"]))

    def _spans(self) -> list[str]:
        folder = self._stack.state_dir / "telemetry"
        return [line for file in sorted(folder.glob("spans*.jsonl")) for line in file.read_text().splitlines()]

    async def _read(self, stores: Stores, sent: Sent) -> Journey:
        return await read(stores, sent, [])
