"""Raw records of drills on sound software, made by hand: what `mosaic_ops.evidence.claims` proves everything from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mosaic_core.domain import ids

type Record = dict[str, Any]

HOUSEHOLD = "d2" * 16
QUEUES = {"ingestion": "runtime-ingestion-completed", "conversation": "runtime-agent-message-posted"}
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
REPLAY_ID = "9e" * 16
ATTEMPTS = {"retry": 2, "dead-letter": 5, "replay": 1, "trace": 1}
CODE, RATIONALE = "batch_blob_missing", "the batch's blob is not there"


class Made:
    """The records as they are kept, in order."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._etags = 0

    def add(self, kind: str, drill: str, **said: Any) -> Record:
        record = {"id": f"{kind}-{len(self.records) + 1:04}", "kind": kind, "drill": drill, **said}
        self.records.append(record)
        return record

    def row(self, told: Record, table: str, seen: str, row: Record, etag: str = "") -> None:
        self._etags += not etag
        self.add(
            "row",
            told["drill"],
            table=table,
            seen=seen,
            seenAtUtc=_at(50),
            etag=etag or f'W/"{self._etags}"',
            row={"PartitionKey": "p", "RowKey": table, **row},
        )

    def event(self, told: Record, kind: str, attempt: int, outcome: str, *, source: str = "MosaicMoney.Worker") -> None:
        run_id = None if source == "MosaicMoney.Api" else _run_id(told)
        self.add(
            "event",
            told["drill"],
            partition="0",
            sequenceNumber=len(self.records),
            enqueuedAtUtc=_at(len(self.records)),
            event={
                "specversion": "1.0",
                "id": ids.derive("event", kind, told["commandId"], str(attempt)),
                "source": source,
                "type": f"mosaic.runtime.command.{kind}",
                "subject": told["correlationId"],
                "time": _at(10 * attempt),
                "partitionkey": HOUSEHOLD,
                "traceparent": f"00-{TRACE_ID}-{'12' * 8}-01",
                "data": {
                    "commandId": told["commandId"],
                    "messageId": told["messageId"],
                    "correlationId": told["correlationId"],
                    "queue": told["queue"],
                    "runId": run_id,
                    "attempt": attempt,
                    "outcomeCode": outcome,
                    "occurredAtUtc": _at(10 * attempt),
                },
            },
        )


def sound() -> list[Record]:
    """Of all four drills."""
    made = Made()
    _build(made)
    _retry(made)
    dead = _dead_letter(made)
    _replay(made, dead)
    _trace(made)
    _build(made)
    made.add(
        "made",
        "",
        target="embedded",
        environment="embedded",
        subject="operator",
        householdId=HOUSEHOLD,
        startedAtUtc=_at(0),
        endedAtUtc=_at(59),
        settings={"Retry__Seconds": "1,5,30,120"},
        leftBehind=[],
        tools={"python": "3.13"},
    )
    return made.records


def _at(second: int) -> str:
    return f"2026-01-31T08:00:{second % 60:02}.000000Z"


def _run_id(told: Record) -> str:
    return ids.run_id(told["queue"], told["commandId"])


def _build(made: Made) -> None:
    build = {"version": "0.1.0", "commit": "c0ffee0", "packageDigest": "ab" * 32}
    answer = {"method": "GET", "path": "/health/live", "status": 200, "body": build, "clockSkewSeconds": 0.25}
    made.add("answer", "build", **answer)
    made.add("build", "build", **build, atUtc=_at(0))


def _told(made: Made, drill: str, command: str, lane: str = "ingestion") -> Record:
    command_id = command * 16
    batch = ids.derive("batch", drill)
    correlation = f"ingestion:{HOUSEHOLD}:{batch}:{command_id}"
    if lane == "conversation":
        correlation = f"agent:{HOUSEHOLD}:{'c0' * 16}:{command_id}"
    return made.add(
        "drill",
        drill,
        commandId=command_id,
        messageId=command_id,
        correlationId=correlation,
        queue=QUEUES[lane],
        lane=lane,
        householdId=HOUSEHOLD,
        conversationId="c0" * 16,
        batchId=batch,
        transactionIds=[] if lane == "conversation" else [f"{drill}-1"],
    )


def _ids(told: Record) -> Record:
    return {"RunId": _run_id(told), "CommandId": told["commandId"], "CorrelationId": told["correlationId"]}


def _command(made: Made, told: Record, seen: str = "settled", **more: Any) -> None:
    row = {"CommandId": told["commandId"], "HouseholdId": HOUSEHOLD, "Queue": told["queue"], **more}
    row |= {"CommandType": told["lane"], "RequestHash": "11" * 32, "Origin": "app", "Subject": "operator"}
    made.row(told, "AgentCommands", seen, row, etag='W/"command"')


def _run(made: Made, told: Record, seen: str, *, etag: str = "", **said: Any) -> None:
    row = {**_ids(told), "HouseholdId": HOUSEHOLD, "Queue": told["queue"], "CommandType": told["lane"]}
    row |= {"RequestHash": "11" * 32, "CreatedAtUtc": _at(1), "TraceParent": f"00-{TRACE_ID}-{'34' * 8}-01"}
    made.row(told, "AgentRuns", seen, {**row, "Attempt": 1, **said}, etag)


COMPLETED: Record = {"Status": "Completed", "IsFinal": True, "AttemptOutcome": "succeeded", "CompletedAtUtc": _at(40)}
FAILED: Record = {
    "Status": "NeedsReview",
    "AttemptOutcome": "failed",
    "FailureCode": CODE,
    "FailureRationale": RATIONALE,
}


def _key(made: Made, told: Record, seen: str, *, etag: str = "", **said: Any) -> None:
    row = {**_ids(told), "Scope": told["queue"], "KeyValue": told["commandId"], "RequestHash": "11" * 32}
    made.row(told, "IdempotencyKeys", seen, {**row, "CreatedAtUtc": _at(1), **said}, etag)


WAITING: Record = {"Status": "Reserved", "LeaseSeconds": 0, "NextAttemptAtUtc": _at(5)}
FINALIZED: Record = {"Status": "Completed", "FinalizedAtUtc": _at(41), "ResolutionCode": "ingested"}
REJECTED: Record = {
    "Status": "Rejected",
    "FinalizedAtUtc": _at(41),
    "ResolutionCode": "failed",
    "ResolutionRationale": f"{CODE}: {RATIONALE}",
}


def _stages(made: Made, told: Record, seen: str, statuses: Iterable[str]) -> None:
    for attempt, status in enumerate(statuses, start=1):
        row = {**_ids(told), "Attempt": attempt, "StageOrder": 1, "StageName": "load_batch", "Status": status}
        row |= {"OutcomeCode": "loaded" if status == "Succeeded" else CODE, "OutcomeRationale": "it says why"}
        row |= {"StartedAtUtc": _at(attempt), "CompletedAtUtc": _at(attempt + 1), "RowKey": f"{attempt:06}-001"}
        made.row(told, "AgentRunStages", seen, row, etag=f'W/"stage-{told["drill"]}-{attempt}"')


def _signal(made: Made, told: Record, seen: str, **said: Any) -> None:
    row = {**_ids(told), "SignalId": ids.failure_signal_id(_run_id(told)), "SignalCode": "worker_command_failed"}
    row |= {"Severity": "Error", "RequiresHumanReview": True, "IsResolved": False, "RaisedAtUtc": _at(2)}
    made.row(told, "AgentSignals", seen, {**row, **said})


def _ledger(made: Made, told: Record, seen: str) -> None:
    row = {"TransactionId": told["transactionIds"][0], "RunId": _run_id(told), "BatchId": told["batchId"]}
    made.row(told, "LedgerTransactions", seen, row, etag=f'W/"ledger-{told["drill"]}"')


def _attempts_told(made: Made, told: Record, end: str) -> None:
    last = ATTEMPTS[told["drill"]]
    for attempt in range(1, last + 1):
        made.event(told, "started", attempt, "running")
        if attempt < last:
            made.event(told, "attempt_failed", attempt, CODE)
    made.event(told, end, last, "ingested" if end == "completed" else CODE)


def _retry(made: Made) -> None:
    told = _told(made, "retry", "a1")
    _run(made, told, "failed", IsFinal=False, NextAttemptAtUtc=_at(5), **FAILED)
    _key(made, told, "failed", **WAITING)
    _signal(made, told, "failed")
    _command(made, told)
    _run(made, told, "settled", **{**COMPLETED, "Attempt": 2})
    _key(made, told, "settled", **FINALIZED)
    _stages(made, told, "settled", ("Failed", "Succeeded"))
    _signal(made, told, "settled", IsResolved=True, ResolvedAtUtc=_at(41), ResolutionNote="recovered")
    _ledger(made, told, "settled")
    _attempts_told(made, told, "completed")


def _dead_letter(made: Made) -> Record:
    told = _told(made, "dead-letter", "b2")
    last = ATTEMPTS["dead-letter"]
    _run(made, told, "failed", IsFinal=False, NextAttemptAtUtc=_at(5), **FAILED)
    _key(made, told, "failed", **WAITING)
    _signal(made, told, "failed")
    _command(made, told)
    for seen in ("settled", "after"):
        ended = {**FAILED, "IsFinal": True, "CompletedAtUtc": _at(40), "Attempt": last}
        _run(made, told, seen, etag='W/"dead-run"', **ended)
        _key(made, told, seen, etag='W/"dead-key"', **REJECTED)
        _stages(made, told, seen, ["Failed"] * last)
    _signal(made, told, "settled", Attempt=last)
    description = f"{CODE}; run={_run_id(told)}; correlation={told['correlationId']}; attempt={last}; {RATIONALE}"
    made.add(
        "message",
        "dead-letter",
        place="deadLetter",
        seen="settled",
        queue=told["queue"],
        messageId=told["messageId"],
        correlationId=told["correlationId"],
        deadLetterReason="processing_failed",
        deadLetterErrorDescription=description,
    )
    made.add("scan", "dead-letter", table="LedgerTransactions", seen="settled", householdId=HOUSEHOLD)
    made.add("peek", "dead-letter", seen="after", queue=told["queue"], messageId=told["messageId"], found=0)
    _attempts_told(made, told, "dead_lettered")
    return told


def _replay(made: Made, dead: Record) -> None:
    told = _told(made, "replay", "c3")
    operation = {"replayId": REPLAY_ID, "state": "running", "total": 1, "reason": "a drill", "requestedBy": "op"}
    sample = [{"commandId": dead["commandId"], "newCommandId": told["commandId"]}]
    plan = {"dryRun": True, "total": 1, "willReplay": 1, "refused": [], "sample": sample}
    made.add("answer", "replay", method="POST", path="/ops/replays", status=200, body=plan)
    made.add("answer", "replay", method="POST", path="/ops/replays", status=202, body=operation)
    ended = {"state": "completed", "replayed": 1, "refused": 0, "failed": 0}
    path = f"/ops/replays/{REPLAY_ID}"
    made.add("answer", "replay", method="GET", path=path, status=200, body={**operation, **ended})
    for seen in ("settled", "again"):
        _command(made, told, seen)
        _run(made, told, seen, etag='W/"new-run"', ReplayOfCommandId=dead["commandId"], **COMPLETED)
        _key(made, told, seen, etag='W/"new-key"', **FINALIZED)
        _stages(made, told, seen, ("Succeeded",))
        _ledger(made, told, seen)
    for run_id, code in ((_run_id(dead), "replayed"), (REPLAY_ID, "replay_begun")):
        said = f"as {told['commandId']} by {REPLAY_ID}; a drill"
        audit = {"RunId": run_id, "Action": "replay", "Outcome": "Applied", "ReasonCode": code, "Actor": "op"}
        made.row(told, "AgentDecisionAudit", "settled", {**audit, "Rationale": said, "DecidedAtUtc": _at(30)})
    made.add("message", "replay", place="sent", queue=told["queue"], messageId=told["messageId"])
    made.add("peek", "replay", seen="again", queue=told["queue"], messageId=told["messageId"], found=0)
    made.event(told, "replayed", 0, "queued", source="MosaicMoney.Api")
    _attempts_told(made, told, "completed")
    made.event(told, "duplicate", 1, "completed")


def _trace(made: Made) -> None:
    told = _told(made, "trace", "d4", "conversation")
    body = {name: told[name] for name in ("commandId", "correlationId", "queue")}
    made.add("answer", "trace", method="POST", path="/conversations/c0/messages", status=202, body=body)
    _command(made, told)
    _run(made, told, "settled", **COMPLETED)
    _key(made, told, "settled", **FINALIZED)
    _stages(made, told, "settled", ("Succeeded",))
    made.event(told, "enqueued", 0, "queued", source="MosaicMoney.Api")
    _attempts_told(made, told, "completed")
    for service in ("MosaicMoney.Api", "MosaicMoney.Worker"):
        span = {"name": "runtime.lane", "service.name": service, "traceId": TRACE_ID, "spanId": "56" * 8}
        made.add("span", "trace", span=span)
