"""What raw records prove. Pure: records in, claims out; the same function makes a bundle's claims and checks them.

A record is a JSON object with ``id`` (its own within the bundle), ``kind`` and ``drill``, and by kind:

``drill``    commandId, queue, lane, householdId, correlationId, messageId, batchId?, transactionIds, conversationId?
``row``      table, seen, seenAtUtc, etag, row (the entity as stored, PascalCase, times as ISO text)
``event``    event (the CloudEvent), partition, sequenceNumber, enqueuedAtUtc
``span``     span (as telemetry keeps them: name, service.name, traceId, spanId, attributes, …)
``message``  seen, place (``deadLetter`` or ``sent``), queue, messageId, …
``peek``     seen, queue, messageId, found: how many dead letters of that message a look found
``scan``     seen, table, householdId: that a table was looked at, whatever it held
``answer``   method, path, status, body, of the API; clockSkewSeconds
``build``    version, commit, packageDigest
``made``     target, environment, subject, startedAtUtc, endedAtUtc, settings, tools

``seen`` names the moment of a drill: ``failed`` after its first attempt, ``settled`` at its end, ``again`` after the
duplicate, ``after`` when all was over. A claim that cannot be made from what is there does not hold: what is missing,
or no such thing at all, is no proof.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mosaic_core.domain import ids
from mosaic_core.domain.lanes import MAX_ATTEMPTS, CommandType
from mosaic_core.domain.reasons import DeadLetterReason

type Record = Mapping[str, Any]

RETRY: Final = "retry"
DEAD_LETTER: Final = "dead-letter"
REPLAY: Final = "replay"
TRACE: Final = "trace"
BUILD: Final = "build"

DRILLS: Final[Mapping[str, str]] = {
    RETRY: "Queue retry scenario with recovery proof",
    DEAD_LETTER: "Dead-letter scenario with fail-closed status and signal proof",
    REPLAY: "Replay scenario proving idempotent duplicate handling",
    TRACE: "Correlated trace evidence across API enqueue, worker handling, and lifecycle persistence",
    BUILD: "What ran",
}
"""The seed's checklist, word for word, by the name that a claim's drill has here."""

FAILED: Final = "failed"
SETTLED: Final = "settled"
AGAIN: Final = "again"
AFTER: Final = "after"

_PREFIX: Final = "mosaic.runtime.command."
_API: Final = "MosaicMoney.Api"
_WORKER: Final = "MosaicMoney.Worker"
_TERMINAL: Final = frozenset({"Succeeded", "Failed", "NeedsReview", "Skipped"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """``proof`` is its name, ``says`` what it claims; ``why`` says what is not so where it does not hold; ``rows`` are
    the ids of the records that it was made from."""

    proof: str
    drill: str
    says: str
    holds: bool
    why: str
    rows: tuple[str, ...]

    def json(self) -> dict[str, Any]:
        return {
            "proof": self.proof,
            "drill": self.drill,
            "says": self.says,
            "holds": self.holds,
            "why": self.why,
            "rows": list(self.rows),
        }


ODD: Final = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What records of another shape than ours come to."""

MOST_ATTEMPTS: Final = 64
"""Of a run that can be told of; a number beyond it is nobody's count."""


class NotProvenError(Exception):
    """``str()`` says what is missing or otherwise."""


def claims_of(records: Iterable[Record]) -> list[Claim]:
    """Every claim, in the checklist's order, whatever is in the records."""
    kept = [record for record in records if isinstance(record, Mapping)]
    return [_claim(proof, Look(kept, proof.drill)) for proof in PROOFS]


def _claim(proof: Proof, look: Look) -> Claim:
    try:
        proof.show(look)
        why = ""
    except NotProvenError as error:
        why = str(error)
    except ODD as error:
        # a record of another shape than ours: whatever it is, it proves nothing
        why = f"a record cannot be read ({type(error).__name__}: {error})"
    return Claim(
        proof=proof.name,
        drill=proof.drill,
        says=proof.says,
        holds=not why,
        why=why,
        rows=tuple(dict.fromkeys(look.cited)),
    )


@dataclass(slots=True)
class Look:
    """The records of one drill, as a proof asks for them; what was looked at is cited."""

    records: Sequence[Record]
    drill: str
    cited: list[str] = field(default_factory=list)

    def at(self, drill: str) -> Look:
        return Look(self.records, drill, self.cited)

    def all(self, kind: str, **said: object) -> list[Record]:
        found = [
            record
            for record in self.records
            if record.get("kind") == kind
            and record.get("drill") == self.drill
            and all(record.get(name) == value for name, value in said.items())
        ]
        self.cited += [str(record["id"]) for record in found]
        return found

    def one(self, kind: str, **said: object) -> Record:
        found = self.all(kind, **said)
        if len(found) != 1:
            named = " ".join(str(value) for value in said.values())
            raise NotProvenError(f"{len(found) or 'no'} {kind} {named}".rstrip() + f" of the drill {self.drill}")
        return found[0]

    @property
    def told(self) -> Record:
        """What the drill did."""
        return self.one("drill")

    @property
    def run_id(self) -> str:
        told = self.told
        return ids.run_id(str(told["queue"]), str(told["commandId"]))

    def row(self, table: str, seen: str) -> Record:
        return self.one("row", table=table, seen=seen)

    def rows(self, table: str, seen: str) -> list[Record]:
        return self.all("row", table=table, seen=seen)

    def run(self, seen: str) -> Record:
        row = self.row("AgentRuns", seen)
        _expect(row, RunId=self.run_id, CommandId=self.told["commandId"])
        return row

    def key(self, seen: str) -> Record:
        row = self.row("IdempotencyKeys", seen)
        told = self.told
        _expect(row, Scope=told["queue"], KeyValue=told["commandId"], RunId=self.run_id)
        return row

    def failure_signal(self, seen: str) -> Record:
        wanted = ids.failure_signal_id(self.run_id)
        found = [row for row in self.rows("AgentSignals", seen) if row["row"].get("SignalId") == wanted]
        if len(found) != 1:
            raise NotProvenError(f"no signal worker_command_failed of run {self.run_id}")
        _expect(found[0], SignalCode="worker_command_failed", RunId=self.run_id, CommandId=self.told["commandId"])
        return found[0]

    def events(self, kind: str | None = None) -> list[Record]:
        """By the hub's own ids: it may tell of one twice."""
        by_id = {str(record["event"]["id"]): record for record in self.all("event")}
        return [r for r in by_id.values() if kind is None or r["event"].get("type") == _PREFIX + kind]

    def attempts_told(self, kind: str) -> list[int]:
        return sorted(int(record["event"]["data"]["attempt"]) for record in self.events(kind))


type Show = Callable[[Look], None]


@dataclass(frozen=True, slots=True)
class Proof:
    name: str
    drill: str
    says: str
    show: Show


PROOFS: list[Proof] = []


def _proves(drill: str, name: str, says: str) -> Callable[[Show], Show]:
    def register(show: Show) -> Show:
        PROOFS.append(Proof(f"{drill}.{name}", drill, says, show))
        return show

    return register


# ---------------------------------------------------------------------------------------------------------- comparisons


class _Present:
    def __repr__(self) -> str:
        return "a value"


PRESENT: Final = _Present()


def _expect(record: Record, **wanted: object) -> None:
    """Properties of a row. `PRESENT`: any but an empty one; None: there is none."""
    row, where = record["row"], f"{record['table']} ({record['id']})"
    for name, value in wanted.items():
        there = row.get(name)
        good = there not in (None, "") if value is PRESENT else there == value
        if value is True or value is False:
            good = there is value
        if not good:
            raise NotProvenError(f"{where}: {name} is {there!r}, not {value!r}")


def _same(first: Record, second: Record, *names: str) -> None:
    for name in names:
        one, other = first["row"].get(name), second["row"].get(name)
        if one in (None, "") or one != other:
            raise NotProvenError(f"{first['table']}: {name} was {one!r} ({first['id']}), then {other!r}")


def _unchanged(look: Look, table: str, before: str, after: str) -> None:
    """The very rows, not written in between: by their ETags."""
    then, now = ({r["row"]["RowKey"]: r for r in look.rows(table, seen)} for seen in (before, after))
    if not then:
        raise NotProvenError(f"no row of {table} was there before")
    for key, row in then.items():
        if key not in now:
            raise NotProvenError(f"{table}: row {key} is gone")
        if not row["etag"] or row["etag"] != now[key]["etag"]:
            raise NotProvenError(f"{table}: row {key} was written again")
        if row["row"] != now[key]["row"]:
            raise NotProvenError(f"{table}: row {key} differs under one ETag")
    if more := sorted(set(now) - set(then)):
        raise NotProvenError(f"{table}: {len(more)} rows more than before ({more[0]})")


def _attempts(look: Look, seen: str = SETTLED) -> int:
    attempt = look.run(seen)["row"].get("Attempt")
    if not isinstance(attempt, int) or not 1 <= attempt <= MOST_ATTEMPTS:
        raise NotProvenError(f"the run's attempt is {attempt!r}")
    return attempt


def _must(good: object, otherwise: str) -> None:
    if not good:
        raise NotProvenError(otherwise)


# ------------------------------------------------------------------------------------------ what several drills prove


def _completed(look: Look) -> None:
    run = look.run(SETTLED)
    _expect(run, Status="Completed", IsFinal=True, CompletedAtUtc=PRESENT, AttemptOutcome="succeeded")
    _expect(run, FailureCode=None, NextAttemptAtUtc=None)


def _key_completed(look: Look) -> None:
    _expect(look.key(SETTLED), Status="Completed", FinalizedAtUtc=PRESENT, ResolutionCode=PRESENT)


def _key_kept(look: Look) -> None:
    """Reserved after a failed attempt, its lease released, and the same key at the end."""
    before, after = look.key(FAILED), look.key(SETTLED)
    _expect(before, Status="Reserved", FinalizedAtUtc=None, LeaseSeconds=0, NextAttemptAtUtc=PRESENT)
    _same(before, after, "RunId", "CommandId", "CorrelationId", "RequestHash", "CreatedAtUtc")
    _same(look.run(FAILED), before, "RequestHash")


def _stages(look: Look) -> None:
    """Each attempt has stages, each terminal and saying why; the last attempt's agree with how the run ended."""
    run_id, attempts = look.run_id, _attempts(look)
    ended_well = look.run(SETTLED)["row"].get("AttemptOutcome") == "succeeded"
    stages = look.rows("AgentRunStages", SETTLED)
    for stage in stages:
        _expect(stage, RunId=run_id, CompletedAtUtc=PRESENT, OutcomeCode=PRESENT, OutcomeRationale=PRESENT)
        if stage["row"].get("Status") not in _TERMINAL:
            raise NotProvenError(f"stage {stage['id']} is {stage['row'].get('Status')!r}, which is not terminal")
    for attempt in range(1, attempts + 1):
        own = [stage["row"]["Status"] for stage in stages if stage["row"].get("Attempt") == attempt]
        _must(own, f"no stage of attempt {attempt}")
        failed = "Failed" in own
        _must(failed != (attempt == attempts and ended_well), f"stages of attempt {attempt} are {', '.join(own)}")


def _events_there(look: Look, *, once: Mapping[str, int], attempts: Mapping[str, Iterable[int]]) -> None:
    for kind, wanted in attempts.items():
        told = look.attempts_told(kind)
        _must(told == list(wanted), f"the stream tells of {kind} at attempts {told}, not {list(wanted)}")
    for kind, count in once.items():
        _must(len(look.events(kind)) == count, f"the stream tells {len(look.events(kind))} events {kind}, not {count}")


def _no_event(look: Look, *kinds: str) -> None:
    for kind in kinds:
        _must(not look.events(kind), f"the stream tells of {kind}")


def _events_correlated(look: Look) -> None:
    told, run_id = look.told, look.run_id
    # the notifications beside them (a review, a finding) tell of no message
    events = [one for one in look.events() if str(one["event"].get("type")).startswith(_PREFIX)]
    _must(events, "no event at all")
    for record in events:
        event, data = record["event"], record["event"].get("data") or {}
        what = f"event {str(event.get('type')).removeprefix(_PREFIX)} ({record['id']})"
        wanted: dict[str, object] = {name: told[name] for name in ("commandId", "messageId", "correlationId", "queue")}
        if event.get("source") != _API:
            wanted["runId"] = run_id
        for name, value in wanted.items():
            _must(data.get(name) == value, f"{what}: {name} is {data.get(name)!r}, not {value!r}")
        _must(event.get("subject") == told["correlationId"], f"{what}: subject is {event.get('subject')!r}")
        _must(event.get("partitionkey") == told["householdId"], f"{what}: its partition key is another's")
        _must(data.get("occurredAtUtc") and data.get("outcomeCode"), f"{what}: it says not when, or not what")


def _rows_correlated(look: Look) -> None:
    told, run_id = look.told, look.run_id
    found = 0
    for table in ("AgentRuns", "AgentRunStages", "AgentSignals", "IdempotencyKeys"):
        for row in (*look.rows(table, FAILED), *look.rows(table, SETTLED)):
            _expect(row, CorrelationId=told["correlationId"], CommandId=told["commandId"], RunId=run_id)
            found += row["seen"] == SETTLED and table in ("AgentRuns", "IdempotencyKeys")
    _must(found == 2, "no run, or no key, with the correlation id")
    envelope_of = look.row("AgentCommands", SETTLED)
    _expect(envelope_of, CommandId=told["commandId"], Queue=told["queue"], HouseholdId=told["householdId"])


def _effects_once(look: Look) -> None:
    told, run_id = look.told, look.run_id
    rows = look.rows("LedgerTransactions", SETTLED)
    wanted = sorted(str(one) for one in told["transactionIds"])
    there = sorted(str(row["row"].get("TransactionId")) for row in rows)
    _must(there == wanted, f"the ledger holds {there}, not {wanted}")
    for row in rows:
        _expect(row, RunId=run_id, BatchId=told["batchId"])


# ---------------------------------------------------------------------------------------------------------------- retry


@_proves(
    RETRY, "fails-closed-while-retrying", "After a failed attempt the run is NeedsReview with a reason, and not final"
)
def _(look: Look) -> None:
    _expect(
        look.run(FAILED),
        Status="NeedsReview",
        IsFinal=False,
        Attempt=PRESENT,
        AttemptOutcome="failed",
        FailureCode=PRESENT,
        FailureRationale=PRESENT,
        NextAttemptAtUtc=PRESENT,
        CompletedAtUtc=None,
    )


@_proves(RETRY, "signal-raised", "The failed attempt raised an error signal that asks for a person")
def _(look: Look) -> None:
    _expect(look.failure_signal(FAILED), Severity="Error", RequiresHumanReview=True, IsResolved=False)


_proves(RETRY, "key-kept", "The key stays Reserved between attempts, and it is the same key at the end")(_key_kept)


@_proves(RETRY, "recovered", "A later attempt completed the same run")
def _(look: Look) -> None:
    _completed(look)
    _must(_attempts(look) > 1, "the run was completed by its first attempt: nothing was retried")
    _same(look.run(FAILED), look.run(SETTLED), "RunId", "CreatedAtUtc", "RequestHash")


@_proves(RETRY, "signal-resolved", "The recovery resolved the signal")
def _(look: Look) -> None:
    signal = look.failure_signal(SETTLED)
    _expect(signal, IsResolved=True, ResolvedAtUtc=PRESENT, ResolutionNote="recovered")


_proves(RETRY, "key-completed", "The key is Completed and finalised")(_key_completed)
_proves(RETRY, "stages", "Each attempt left terminal stages with code and rationale; the last one's succeeded")(_stages)
_proves(RETRY, "effects-once", "The effects are there once, and are this run's")(_effects_once)


@_proves(RETRY, "events", "The stream tells of each attempt, of its failure, and of the completion")
def _(look: Look) -> None:
    last = _attempts(look)
    _events_there(
        look,
        once={},
        attempts={"started": range(1, last + 1), "attempt_failed": range(1, last), "completed": [last]},
    )
    _no_event(look, "dead_lettered", "needs_review")


_proves(RETRY, "events-correlated", "Each event names command, message, correlation and run")(_events_correlated)
_proves(RETRY, "rows-correlated", "Run, stages, signal and key carry the one correlation id")(_rows_correlated)


# ---------------------------------------------------------------------------------------------------------- dead letter


@_proves(DEAD_LETTER, "fail-closed", "The run is NeedsReview, final, with failure code and rationale")
def _(look: Look) -> None:
    _expect(
        look.run(SETTLED),
        Status="NeedsReview",
        IsFinal=True,
        AttemptOutcome="failed",
        FailureCode=PRESENT,
        FailureRationale=PRESENT,
        CompletedAtUtc=PRESENT,
    )
    _must(_attempts(look) >= MAX_ATTEMPTS, f"the run ended at attempt {_attempts(look)}, before {MAX_ATTEMPTS}")


@_proves(DEAD_LETTER, "signal", "worker_command_failed is open, of severity Error, and requires human review")
def _(look: Look) -> None:
    signal = look.failure_signal(SETTLED)
    _expect(signal, IsResolved=False, RequiresHumanReview=True, ResolvedAtUtc=None)
    severity = signal["row"].get("Severity")
    _must(severity in ("Error", "Critical"), f"the signal's severity is {severity!r}")


_proves(DEAD_LETTER, "key-kept", "The key is Reserved during the retries, and it is the same key at the end")(_key_kept)


@_proves(DEAD_LETTER, "key-rejected", "The key is Rejected, only when the retries were exhausted, and finalised")
def _(look: Look) -> None:
    _expect(look.key(SETTLED), Status="Rejected", FinalizedAtUtc=PRESENT, ResolutionCode=PRESENT)
    _expect(look.key(SETTLED), ResolutionRationale=PRESENT, NextAttemptAtUtc=None)


@_proves(DEAD_LETTER, "stages", "Each attempt left a terminal stage that failed, with code and rationale")
def _(look: Look) -> None:
    _stages(look)
    _must(_attempts(look) >= MAX_ATTEMPTS, "fewer attempts than a command has")


@_proves(
    DEAD_LETTER, "message", "The message is a dead letter, processing_failed, that tells all that the runbook captures"
)
def _(look: Look) -> None:
    told = look.told
    letter = look.one("message", place="deadLetter", seen=SETTLED)
    for name in ("queue", "messageId", "correlationId"):
        _must(letter.get(name) == told[name], f"the dead letter's {name} is {letter.get(name)!r}, not {told[name]!r}")
    reason = letter.get("deadLetterReason")
    _must(reason == DeadLetterReason.PROCESSING_FAILED, f"its reason is {reason!r}")
    code, *rest = str(letter.get("deadLetterErrorDescription") or "").split("; ")
    said = dict(part.partition("=")[::2] for part in rest[:3])
    wanted = {"run": look.run_id, "correlation": told["correlationId"], "attempt": str(_attempts(look))}
    for name, value in wanted.items():
        _must(said.get(name) == value, f"its description's {name} is {said.get(name)!r}, not {value!r}")
    run = look.run(SETTLED)["row"]
    _must(code and code == run.get("FailureCode"), f"its description's code is {code!r}, the run's another")
    rationale = "; ".join(rest[3:])
    _must(rationale and rationale == run.get("FailureRationale"), "its description's rationale is not the run's")


@_proves(DEAD_LETTER, "no-effects", "Nothing of it reached the ledger")
def _(look: Look) -> None:
    look.run(SETTLED)
    _must(look.all("scan", table="LedgerTransactions", seen=SETTLED), "the ledger was not looked at")
    rows = look.rows("LedgerTransactions", SETTLED)
    _must(not rows, f"the ledger holds {len(rows)} of its rows")


@_proves(DEAD_LETTER, "events", "The stream tells of each attempt, of each failure, and of the dead letter")
def _(look: Look) -> None:
    last = _attempts(look)
    attempts = {"started": range(1, last + 1), "attempt_failed": range(1, last), "dead_lettered": [last]}
    _events_there(look, once={}, attempts=attempts)
    _no_event(look, "completed", "needs_review")


_proves(DEAD_LETTER, "events-correlated", "Each event names command, message, correlation and run")(_events_correlated)
_proves(DEAD_LETTER, "rows-correlated", "Run, stages, signal and key carry the one correlation id")(_rows_correlated)


# --------------------------------------------------------------------------------------------------------------- replay


@_proves(
    REPLAY, "new-command", "The dead letter was replayed as a new command with the old one's request, and names it"
)
def _(look: Look) -> None:
    new, old = look.told, look.at(DEAD_LETTER).told
    _must(new["commandId"] != old["commandId"], "it has the old command's id")
    run = look.run(SETTLED)
    _expect(run, ReplayOfCommandId=old["commandId"])
    _same(run, look.at(DEAD_LETTER).run(SETTLED), "RequestHash", "CommandType", "Queue", "HouseholdId")


@_proves(REPLAY, "dry-run", "The dry run before it named exactly this message, and the id that the new command got")
def _(look: Look) -> None:
    told, old = look.told, look.at(DEAD_LETTER).told
    plan = look.one("answer", method="POST", path="/ops/replays", status=200)["body"]
    counts = {name: plan.get(name) for name in ("dryRun", "total", "willReplay", "refused")}
    _must(counts == {"dryRun": True, "total": 1, "willReplay": 1, "refused": []}, f"the dry run says {counts}")
    named = [(sample["commandId"], sample["newCommandId"]) for sample in plan["sample"]]
    _must(named == [(old["commandId"], told["commandId"])], f"the dry run named {named}")


@_proves(REPLAY, "audited", "The operation and the message are audited: who, why, and as which command")
def _(look: Look) -> None:
    told, old = look.told, look.at(DEAD_LETTER)
    asked = look.one("answer", method="POST", path="/ops/replays", status=202)["body"]
    of_run: dict[str, list[Record]] = {}
    for row in look.rows("AgentDecisionAudit", SETTLED):
        if row["row"].get("Action") == "replay":
            of_run.setdefault(str(row["row"].get("RunId")), []).append(row)
    for run_id, reason_code in ((asked["replayId"], "replay_begun"), (old.run_id, "replayed")):
        rows = [row for row in of_run.get(run_id, ()) if row["row"].get("ReasonCode") == reason_code]
        _must(len(rows) == 1, f"{len(rows)} audit rows {reason_code} of {run_id}")
        _expect(rows[0], Actor=asked["requestedBy"], Outcome="Applied", DecidedAtUtc=PRESENT)
        _must(asked["reason"] in str(rows[0]["row"].get("Rationale")), f"{rows[0]['id']}: it names another reason")
    said = str(of_run[old.run_id][0]["row"].get("Rationale"))
    for name in (told["commandId"], asked["replayId"]):
        _must(name in said, f"the audit of the message does not name {name}")


@_proves(REPLAY, "requested", "It was asked of the API with a reason, and the operation replayed exactly this one")
def _(look: Look) -> None:
    asked = look.all("answer", method="POST", path="/ops/replays")
    accepted = [answer for answer in asked if answer.get("status") == 202]
    _must(len(accepted) == 1, f"the API accepted {len(accepted)} replays")
    replay_id = accepted[0]["body"]["replayId"]
    ended = look.one("answer", method="GET", path=f"/ops/replays/{replay_id}")["body"]
    _must(ended.get("state") == "completed", f"the operation is {ended.get('state')!r}")
    counts = {name: ended.get(name) for name in ("total", "replayed", "refused", "failed")}
    _must(counts == {"total": 1, "replayed": 1, "refused": 0, "failed": 0}, f"the operation counts {counts}")
    _must(ended.get("reason") and ended.get("requestedBy"), "the operation names no reason, or nobody")


_proves(REPLAY, "run-completed", "The new command has a run of its own that went from Running to Completed")(_completed)
_proves(REPLAY, "key-completed", "Its key is Completed and finalised")(_key_completed)
_proves(REPLAY, "stages", "Its attempt left terminal stages with code and rationale")(_stages)
_proves(REPLAY, "effects-once", "The effects are there once, and are the replay's")(_effects_once)


@_proves(REPLAY, "duplicate-not-reprocessed", "The same message sent again changed no row: run, key, stages, ledger")
def _(look: Look) -> None:
    _must(look.all("message", place="sent", messageId=look.told["messageId"]), "no duplicate was sent")
    look.run(SETTLED)
    for table in ("AgentRuns", "IdempotencyKeys", "AgentRunStages", "LedgerTransactions", "AgentCommands"):
        _unchanged(look, table, SETTLED, AGAIN)
    started = look.attempts_told("started")
    _must(started == [1], f"the stream tells of attempts {started}, not of one")


@_proves(REPLAY, "duplicate-completed", "The duplicate was completed as one: told as duplicate, and no dead letter")
def _(look: Look) -> None:
    told = look.told
    duplicates = look.events("duplicate")
    _must(len(duplicates) == 1, f"the stream tells of {len(duplicates)} duplicates")
    for record in duplicates:
        outcome = record["event"]["data"].get("outcomeCode")
        _must(outcome == "completed", f"the duplicate's outcome is {outcome!r}")
    peeked = look.one("peek", seen=AGAIN, messageId=told["messageId"])
    _must(peeked.get("found") == 0, "it is a dead letter")


@_proves(REPLAY, "original-untouched", "The old command's run and key are as they were")
def _(look: Look) -> None:
    _expect(look.run(SETTLED), IsFinal=True)  # of a replay that ended
    old = look.at(DEAD_LETTER)
    old.run(SETTLED)
    old.run(AFTER)
    for table in ("AgentRuns", "IdempotencyKeys", "AgentRunStages"):
        _unchanged(old, table, SETTLED, AFTER)


@_proves(REPLAY, "dead-letter-gone", "The dead-lettered copy is no longer in its queue")
def _(look: Look) -> None:
    look.run(SETTLED)  # of a replay that there was
    peeked = look.at(DEAD_LETTER).one("peek", seen=AFTER)
    _must(peeked.get("messageId") == look.at(DEAD_LETTER).told["messageId"], "another message was looked for")
    _must(peeked.get("found") == 0, "it is still there: a second replay would find it")


@_proves(REPLAY, "events", "The stream tells of the replay, its start, its completion, and the duplicate")
def _(look: Look) -> None:
    _events_there(look, once={"replayed": 1, "duplicate": 1}, attempts={"started": [1], "completed": [1]})
    _no_event(look, "dead_lettered", "attempt_failed", "needs_review")


_proves(REPLAY, "events-correlated", "Each event names command, message, correlation and run")(_events_correlated)
_proves(REPLAY, "rows-correlated", "Run, stages and key carry the one correlation id")(_rows_correlated)


# ---------------------------------------------------------------------------------------------------------------- trace


@_proves(TRACE, "accepted", "The API answered 202 with the ids that everything after carries")
def _(look: Look) -> None:
    told = look.told
    answer = look.one("answer", method="POST", status=202)
    for name in ("commandId", "correlationId", "queue"):
        _must(answer["body"].get(name) == told[name], f"the answer's {name} is {answer['body'].get(name)!r}")
    wanted = f"agent:{told['householdId']}:{told['conversationId']}:{told['commandId']}"
    _must(told["correlationId"] == wanted, f"the correlation id is {told['correlationId']!r}, not {wanted!r}")


@_proves(TRACE, "recorded", "The command is recorded as the API took it, of the caller")
def _(look: Look) -> None:
    told = look.told
    row = look.row("AgentCommands", SETTLED)
    _expect(row, CommandId=told["commandId"], Origin="app", Subject=PRESENT, Queue=told["queue"])
    _same(row, look.run(SETTLED), "RequestHash", "CommandType", "HouseholdId")


_proves(TRACE, "run-completed", "The worker completed its run")(_completed)
_proves(TRACE, "key-completed", "Its key is Completed and finalised")(_key_completed)
_proves(TRACE, "stages", "It left terminal stages with code and rationale")(_stages)


@_proves(TRACE, "events", "The stream tells of API enqueue, worker start and completion")
def _(look: Look) -> None:
    _events_there(look, once={"enqueued": 1}, attempts={"started": [1], "completed": [1]})
    _no_event(look, "dead_lettered", "attempt_failed", "needs_review")
    for kind, source in (("enqueued", _API), ("started", _WORKER), ("completed", _WORKER)):
        said = look.events(kind)[0]["event"].get("source")
        _must(said == source, f"the event {kind} is of {said!r}, not {source}")


_proves(TRACE, "events-correlated", "Each event names command, message, correlation and run")(_events_correlated)
_proves(TRACE, "rows-correlated", "Run, stages and key carry the one correlation id")(_rows_correlated)


@_proves(TRACE, "one-trace", "One W3C trace holds the run, the events, and spans of API and worker")
def _(look: Look) -> None:
    run, events = look.run(SETTLED), look.events()
    trace_id = _trace_of(run["row"].get("TraceParent"))
    _must(trace_id, f"the run ({run['id']}) names no trace")
    _must(events, "no event at all")
    for record in events:
        there = _trace_of(record["event"].get("traceparent"))
        _must(there == trace_id, f"{record['id']} is of trace {there or 'none'}, the run of {trace_id}")
    services = {str(r["span"].get("service.name")) for r in look.all("span") if r["span"].get("traceId") == trace_id}
    for service in (_API, _WORKER):
        _must(service in services, f"no span of {service} in trace {trace_id}")


def _trace_of(parent: object) -> str:
    parts = str(parent or "").split("-")
    return parts[1] if len(parts) == 4 else ""


# ---------------------------------------------------------------------------------------------------------------- build


@_proves(BUILD, "known", "Version, commit and package digest of what ran are told, before and after alike")
def _(look: Look) -> None:
    told = look.all("build")
    _must(len(told) == 2, f"the build was told {len(told)} times, not before and after")
    for record in told:
        for name in ("version", "commit", "packageDigest"):
            _must(record.get(name) and record[name] != "unknown", f"{name} is {record.get(name)!r}")
    first, last = ({n: r[n] for n in ("version", "commit", "packageDigest")} for r in told)
    _must(first == last, "another build ran at the end than at the beginning")


@_proves(
    BUILD,
    "no-stray-events",
    "Each event of the drill household, but of its nightly sweeps, names one of the drills' commands",
)
def _(look: Look) -> None:
    # a household that has a ledger gets its nights, whoever made it: the app's own timer asks for them
    nightly = str(CommandType.NIGHTLY_ANOMALY_SWEEP)
    stray = [r for r in look.at("").all("event") if (r["event"].get("data") or {}).get("commandType") != nightly]
    _must(not stray, f"{len(stray)} events of the household name none ({stray[0]['id'] if stray else ''})")
    _must(any(r.get("kind") == "event" for r in look.records), "no event at all")
