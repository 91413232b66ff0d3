"""What a bundle claims is made from its raw records: of each kind of record, each thing that may be wrong breaks the
proofs that are about it, and no other."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from mosaic_ops.evidence.claims import DRILLS, PROOFS, claims_of
from tests.support.evidence import HOUSEHOLD, Record, sound

RUNS, KEYS, STAGES, SIGNALS = "AgentRuns", "IdempotencyKeys", "AgentRunStages", "AgentSignals"
COMMANDS, LEDGER = "AgentCommands", "LedgerTransactions"


def not_proven(records: list[Record]) -> set[str]:
    return {claim.proof for claim in claims_of(records) if not claim.holds}


def matching(records: list[Record], kind: str, drill: str, **said: Any) -> Iterator[Record]:
    """Those records; ``event`` and ``attempt`` are looked up within an event or a row."""
    event, attempt = said.pop("event", None), said.pop("attempt", None)
    for record in records:
        inner = record.get("event", {}).get("data") or record.get("row") or {}
        if (
            (record["kind"], record["drill"]) == (kind, drill)
            and all(record.get(name) == value for name, value in said.items())
            and (event is None or record["event"]["type"].endswith(f".{event}"))
            and (attempt is None or inner.get("attempt", inner.get("Attempt")) == attempt)
        ):
            yield record


@dataclass(frozen=True)
class Broken:
    """What is wrong, how it comes to be in the records, and the proofs that fail for it."""

    name: str
    breaks: frozenset[str]
    do: Callable[[list[Record]], None]


BROKEN: Final[list[Broken]] = []


def broken(name: str, *proofs: str) -> Callable[[Callable[[list[Record]], None]], Callable[[list[Record]], None]]:
    def register(do: Callable[[list[Record]], None]) -> Callable[[list[Record]], None]:
        BROKEN.append(Broken(name, frozenset(proofs), do))
        return do

    return register


def without(name: str, *proofs: str, kind: str, drill: str, **said: Any) -> None:
    """A record that is not there."""

    @broken(name, *proofs)
    def _(records: list[Record]) -> None:
        gone = list(matching(records, kind, drill, **said))
        assert gone, name
        for record in gone:
            records.remove(record)


def row(name: str, *proofs: str, drill: str, table: str, seen: str, attempt: int | None = None, **said: Any) -> None:
    """A row with another value; None: without the property."""

    @broken(name, *proofs)
    def _(records: list[Record]) -> None:
        found = list(matching(records, "row", drill, table=table, seen=seen, attempt=attempt))
        assert found, name
        for record in found:
            record["row"].update(said)
            for gone in [key for key, value in said.items() if value is None]:
                del record["row"][gone]


def event(name: str, *proofs: str, drill: str, event: str, attempt: int | None = None, **said: Any) -> None:
    """An event with another value; one of ``data`` where it has such a name there."""

    @broken(name, *proofs)
    def _(records: list[Record]) -> None:
        found = list(matching(records, "event", drill, event=event, attempt=attempt))
        assert found, name
        for record in found:
            for key, value in said.items():
                inner = record["event"]["data"] if key in record["event"]["data"] else record["event"]
                inner[key] = value


# the issue's own four, and their kinds
without(
    "dead letter without signal", "dead-letter.signal", kind="row", drill="dead-letter", table=SIGNALS, seen="settled"
)
row(
    "signal without review flag",
    "dead-letter.signal",
    drill="dead-letter",
    table=SIGNALS,
    seen="settled",
    RequiresHumanReview=False,
)
row("signal of less", "dead-letter.signal", drill="dead-letter", table=SIGNALS, seen="settled", Severity="Warning")
row("signal resolved", "dead-letter.signal", drill="dead-letter", table=SIGNALS, seen="settled", IsResolved=True)
without("failure without signal", "retry.signal-raised", kind="row", drill="retry", table=SIGNALS, seen="failed")
row("signal stays open", "retry.signal-resolved", drill="retry", table=SIGNALS, seen="settled", IsResolved=False)


@broken("duplicate reprocessed", "replay.duplicate-not-reprocessed", "replay.events")
def _(records: list[Record]) -> None:
    for record in matching(records, "row", "replay", table=RUNS, seen="again"):
        record["etag"] = 'W/"written again"'
    [started] = matching(records, "event", "replay", event="started")
    again = copy.deepcopy(started)
    again["id"], again["event"]["id"], again["event"]["data"]["attempt"] = "event-9999", "another", 2
    records.append(again)


@broken("duplicate's effects twice", "replay.duplicate-not-reprocessed")
def _(records: list[Record]) -> None:
    [there] = matching(records, "row", "replay", table=LEDGER, seen="again")
    twice = copy.deepcopy(there)
    twice["id"], twice["row"]["RowKey"] = "row-9999", "twice"
    records.append(twice)


@broken("duplicate is a dead letter", "replay.duplicate-completed")
def _(records: list[Record]) -> None:
    [peeked] = matching(records, "peek", "replay")
    peeked["found"] = 1


without("no duplicate sent", "replay.duplicate-not-reprocessed", kind="message", drill="replay")
without(
    "duplicate not told",
    "replay.duplicate-completed",
    "replay.events",
    kind="event",
    drill="replay",
    event="duplicate",
)
row("retry loses the key's status", "retry.key-kept", drill="retry", table=KEYS, seen="failed", Status="Completed")
row("retry keeps the lease", "retry.key-kept", drill="retry", table=KEYS, seen="failed", LeaseSeconds=30)
row("retry makes another key", "retry.key-kept", drill="retry", table=KEYS, seen="settled", CreatedAtUtc="later")
row("the key's request is another", "retry.key-kept", drill="retry", table=KEYS, seen="settled", RequestHash="22" * 32)
without("retry loses the key", "retry.key-kept", kind="row", drill="retry", table=KEYS, seen="failed")
row("key never finalised", "retry.key-completed", drill="retry", table=KEYS, seen="settled", FinalizedAtUtc=None)
row("key stays Reserved", "trace.key-completed", drill="trace", table=KEYS, seen="settled", Status="Reserved")
row(
    "rejected key never finalised",
    "dead-letter.key-rejected",
    "replay.original-untouched",
    drill="dead-letter",
    table=KEYS,
    seen="settled",
    FinalizedAtUtc=None,
)
row("key rejected at once", "dead-letter.key-kept", drill="dead-letter", table=KEYS, seen="failed", Status="Rejected")

for a_drill, kind in (
    ("retry", "started"),
    ("dead-letter", "dead_lettered"),
    ("replay", "replayed"),
    ("trace", "enqueued"),
):
    for what in ("correlationId", "subject", "commandId", "messageId"):
        event(f"{what} missing in {kind}", f"{a_drill}.events-correlated", drill=a_drill, event=kind, **{what: None})
event("run id missing in an event", "trace.events-correlated", drill="trace", event="completed", runId=None)
event("another household's key", "trace.events-correlated", drill="trace", event="started", partitionkey="other")
event("data missing in an event", "trace.events-correlated", drill="trace", event="enqueued", outcomeCode="")
without("event missing", "retry.events", kind="event", drill="retry", event="attempt_failed")
without("one attempt untold", "dead-letter.events", kind="event", drill="dead-letter", event="started", attempt=3)
without("dead letter untold", "dead-letter.events", kind="event", drill="dead-letter", event="dead_lettered")
without("enqueue untold", "trace.events", kind="event", drill="trace", event="enqueued")
event("enqueue told by another", "trace.events", "trace.events-correlated", drill="trace", event="enqueued", source="X")
event(
    "event of another trace",
    "trace.one-trace",
    drill="trace",
    event="started",
    traceparent=f"00-{'1' * 32}-{'2' * 16}-01",
)
event("event without trace", "trace.one-trace", drill="trace", event="enqueued", traceparent=None)
without("no span of anybody", "trace.one-trace", kind="span", drill="trace")
row("run without trace", "trace.one-trace", drill="trace", table=RUNS, seen="settled", TraceParent="")


@broken("an event that names no command", "build.no-stray-events")
def _(records: list[Record]) -> None:
    [told] = matching(records, "event", "trace", event="enqueued")
    stray = copy.deepcopy(told)
    stray["id"], stray["drill"], stray["event"]["id"] = "event-9999", "", "stray"
    stray["event"]["data"] = {"outcomeCode": "queued"}
    assert stray["event"]["partitionkey"] == HOUSEHOLD
    records.append(stray)


without("Completed without its stages", "retry.stages", kind="row", drill="retry", table=STAGES, attempt=2)
without(
    "a failed attempt without stage",
    "dead-letter.stages",
    "replay.original-untouched",
    kind="row",
    drill="dead-letter",
    table=STAGES,
    seen="settled",
    attempt=4,
)
row("stage without outcome", "trace.stages", drill="trace", table=STAGES, seen="settled", OutcomeCode="")
row("stage without rationale", "trace.stages", drill="trace", table=STAGES, seen="settled", OutcomeRationale=None)
row("stage still Running", "trace.stages", drill="trace", table=STAGES, seen="settled", Status="Running")
row("stage without its end", "trace.stages", drill="trace", table=STAGES, seen="settled", CompletedAtUtc=None)
row(
    "stage that failed, and the run did not",
    "trace.stages",
    drill="trace",
    table=STAGES,
    seen="settled",
    Status="Failed",
)

row(
    "run final while it retries",
    "retry.fails-closed-while-retrying",
    drill="retry",
    table=RUNS,
    seen="failed",
    IsFinal=True,
)
row(
    "run without failure code",
    "retry.fails-closed-while-retrying",
    drill="retry",
    table=RUNS,
    seen="failed",
    FailureCode=None,
)
row(
    "run still Running", "retry.fails-closed-while-retrying", drill="retry", table=RUNS, seen="failed", Status="Running"
)
row("run not completed", "retry.recovered", drill="retry", table=RUNS, seen="settled", Status="NeedsReview")
row("run not final", "retry.recovered", drill="retry", table=RUNS, seen="settled", IsFinal=False)
row("run without its end", "trace.run-completed", drill="trace", table=RUNS, seen="settled", CompletedAtUtc=None)
for what in ("FailureCode", "FailureRationale"):
    row(
        f"dead run without {what}",
        "dead-letter.fail-closed",
        "dead-letter.message",
        "replay.original-untouched",
        drill="dead-letter",
        table=RUNS,
        seen="settled",
        **{what: None},
    )
row(
    "dead run not final",
    "dead-letter.fail-closed",
    "replay.original-untouched",
    drill="dead-letter",
    table=RUNS,
    seen="settled",
    IsFinal=False,
)
for a_table in (RUNS, KEYS, STAGES, SIGNALS):
    row(
        f"correlation id missing in {a_table}",
        "retry.rows-correlated",
        *(["retry.key-kept"] if a_table == KEYS else []),
        drill="retry",
        table=a_table,
        seen="settled",
        CorrelationId=None,
    )
row(
    "record of another queue",
    "trace.rows-correlated",
    "trace.recorded",
    drill="trace",
    table=COMMANDS,
    seen="settled",
    Queue="x",
)
row("record of nobody", "trace.recorded", drill="trace", table=COMMANDS, seen="settled", Subject=None)
row("record of another request", "trace.recorded", drill="trace", table=COMMANDS, seen="settled", RequestHash="22" * 32)
without("effects missing", "retry.effects-once", kind="row", drill="retry", table=LEDGER)
row("effects of another run", "retry.effects-once", drill="retry", table=LEDGER, seen="settled", RunId="another")


@broken("effects of what was rejected", "dead-letter.no-effects")
def _(records: list[Record]) -> None:
    [of_replay] = matching(records, "row", "replay", table=LEDGER, seen="settled")
    records.append({**copy.deepcopy(of_replay), "id": "row-9999", "drill": "dead-letter"})


without("the ledger was not looked at", "dead-letter.no-effects", kind="scan", drill="dead-letter")


def letter(name: str, **said: Any) -> None:
    @broken(name, "dead-letter.message")
    def _(records: list[Record]) -> None:
        [there] = matching(records, "message", "dead-letter")
        for key, value in said.items():
            there[key] = value(there[key]) if callable(value) else value


letter("dead letter of another reason", deadLetterReason="MaxDeliveryCountExceeded")
letter("dead letter without correlation", correlationId=None)
letter("description without run id", deadLetterErrorDescription=lambda said: said.replace("run=", ""))
letter("description without code", deadLetterErrorDescription=lambda said: said.partition("; ")[2])
letter("description without rationale", deadLetterErrorDescription=lambda said: said.rpartition("; ")[0])
letter("no description", deadLetterErrorDescription=None)
without("no dead letter", "dead-letter.message", kind="message", drill="dead-letter")

row(
    "replay without replayOfCommandId",
    "replay.new-command",
    "replay.duplicate-not-reprocessed",
    drill="replay",
    table=RUNS,
    seen="settled",
    ReplayOfCommandId=None,
)
row(
    "replay of another request",
    "replay.new-command",
    "replay.duplicate-not-reprocessed",
    drill="replay",
    table=RUNS,
    seen="settled",
    RequestHash="22" * 32,
)
without(
    "replay never asked for",
    "replay.requested",
    "replay.audited",
    kind="answer",
    drill="replay",
    method="POST",
    status=202,
)
without("no dry run", "replay.dry-run", kind="answer", drill="replay", method="POST", status=200)


@broken("the dry run said another", "replay.dry-run")
def _(records: list[Record]) -> None:
    [plan] = matching(records, "answer", "replay", method="POST", status=200)
    plan["body"]["sample"][0]["newCommandId"] = "another"


def audit(name: str, code: str, **said: Any) -> None:
    @broken(name, "replay.audited")
    def _(records: list[Record]) -> None:
        [there] = [
            record
            for record in matching(records, "row", "replay", table="AgentDecisionAudit")
            if record["row"]["ReasonCode"] == code
        ]
        there["row"].update(said)


for a_code in ("replayed", "replay_begun"):
    audit(f"{a_code} by another", a_code, Actor="somebody")
    audit(f"{a_code} for another reason", a_code, Rationale="no reason")
    audit(f"{a_code} not audited", a_code, ReasonCode="another")
audit("as another command", "replayed", Rationale="as another by another; a drill")


@broken("replay replayed nothing", "replay.requested")
def _(records: list[Record]) -> None:
    [ended] = matching(records, "answer", "replay", method="GET")
    ended["body"] |= {"replayed": 0, "failed": 1}


@broken("dead letter still there", "replay.dead-letter-gone")
def _(records: list[Record]) -> None:
    [peeked] = matching(records, "peek", "dead-letter")
    peeked["found"] = 1


@broken("the original was written to", "replay.original-untouched")
def _(records: list[Record]) -> None:
    [key] = matching(records, "row", "dead-letter", table=KEYS, seen="after")
    key["etag"] = 'W/"another"'


@broken("another build at the end", "build.known")
def _(records: list[Record]) -> None:
    *_, last = matching(records, "build", "build")
    last["packageDigest"] = "cd" * 32


@broken("a commit that nobody knows", "build.known")
def _(records: list[Record]) -> None:
    for one in matching(records, "build", "build"):
        one["commit"] = "unknown"


@broken("the API answered another id", "trace.accepted")
def _(records: list[Record]) -> None:
    [answer] = matching(records, "answer", "trace")
    answer["body"]["correlationId"] = "another"


# ---------------------------------------------------------------------------------------------------------------- tests


def test_sound_records_prove_everything() -> None:
    claims = claims_of(sound())
    assert [(claim.proof, claim.why) for claim in claims if not claim.holds] == []
    assert {claim.drill for claim in claims} == set(DRILLS)
    there = {record["id"] for record in sound()}
    for claim in claims:
        assert claim.rows or claim.proof == "build.no-stray-events", f"{claim.proof} is made from nothing"
        assert set(claim.rows) <= there


def test_a_night_that_begins_in_the_middle_is_no_stray_event() -> None:
    """The drills' household has a ledger, and the timer looks for such every ten minutes."""
    records = sound()
    [told] = matching(records, "event", "trace", event="enqueued")
    night = copy.deepcopy(told)
    night["id"], night["drill"], night["event"]["id"] = "event-9998", "", "night"
    night["event"]["data"] = {"commandType": "nightly_anomaly_sweep", "commandId": "9" * 32}
    records.append(night)
    assert not_proven(records) == set()


@pytest.mark.parametrize("it", BROKEN, ids=lambda it: it.name)
def test_what_is_broken_breaks_exactly_its_proofs(it: Broken) -> None:
    records = sound()
    it.do(records)
    assert not_proven(records) == it.breaks


def test_every_proof_is_broken_by_something() -> None:
    seen = {proof for it in BROKEN for proof in it.breaks}
    # these two are of a kind that the same proofs of the other drills show broken
    kinds = {proof.partition(".")[2] for proof in seen}
    assert {proof.name.partition(".")[2] for proof in PROOFS} - kinds == set()


@pytest.mark.parametrize("drill", [drill for drill in DRILLS if drill != "build"])
def test_a_drill_that_did_not_happen_proves_nothing_of_itself(drill: str) -> None:
    records = [record for record in sound() if record["drill"] != drill]
    missing = not_proven(records)
    assert {proof.name for proof in PROOFS if proof.drill == drill} <= missing
    assert {name.partition(".")[0] for name in missing} <= {drill, "replay"}


def test_nothing_proves_nothing() -> None:
    assert not_proven([]) == {proof.name for proof in PROOFS}


@pytest.mark.parametrize("junk", [None, [], "x", 5, {"Attempt": "two"}, {"data": 5}])
def test_records_of_another_shape_break_proofs_and_nothing_else(junk: Any) -> None:
    for place in range(0, len(sound()), 3):
        records = sound()
        for name in ("row", "event", "span", "body"):
            if name in records[place]:
                records[place][name] = junk
        assert len(claims_of(records)) == len(PROOFS)


def test_an_event_that_the_hub_tells_twice_is_one() -> None:
    records = sound()
    records += [{**record, "id": f"{record['id']}-again"} for record in sound() if record["kind"] == "event"]
    assert not_proven(records) == set()
