"""The four drills, by interfaces that a deployment has as the embedded stack has them: HTTP API, queues, tables and
blobs, hub. What they see is kept as records (`claims` says of what shape), and judged by nobody here: where something
does not come about in time, what there is is kept all the same.

A failure is made without any hook in the product: a batch is sent past the API, by a source that the drill household
lists, and its blob is not there. Put after the first attempt, that is a retry with recovery; never put, a dead letter;
put then ("after the fix"), the replay succeeds.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from mosaic_core.adapters.tables import TableStores
from mosaic_core.adapters.tables.keys import encode as encode_key
from mosaic_core.domain import ids
from mosaic_core.domain.envelope import IngestionCompleted, encode, iso
from mosaic_core.domain.lanes import CommandType, Lane
from mosaic_core.domain.membership import Role, producer_subject
from mosaic_ops.evidence.claims import AFTER, AGAIN, DEAD_LETTER, FAILED, REPLAY, RETRY, SETTLED, TRACE
from mosaic_ops.evidence.rows import RawRow, RawRows
from mosaic_ops.smoke.doors import Answer, Heard, OpenDoors
from mosaic_ops.smoke.errors import NotReachableError
from mosaic_ops.smoke.waiting import until

SOURCE: Final = "release-evidence-drill"
ACCOUNT: Final = "release-evidence-drill"
HOUSEHOLD_NAME: Final = "DRILL: release evidence"
QUESTION: Final = "What did we spend last month?"
OPERATOR_ADMIN: Final = "Mosaic.Operator.Admin"
REASON: Final = "release evidence drill: the batch's blob is there now"
NOTE: Final = "release evidence drill: raised on purpose, replayed since"
_LINE: Final[Mapping[str, str]] = {
    "postedOn": "2026-01-02",
    "amount": "-1.00",
    "currency": "USD",
    "description": "STARBUCKS STORE 1234",
}
_TERMINAL: Final = frozenset({"Completed", "Rejected"})
_LOOKS: Final = 20
"""How often rows are read anew to see them all at one moment."""

_ENDS: Final[Mapping[str, frozenset[str]]] = {
    RETRY: frozenset({"completed"}),
    DEAD_LETTER: frozenset({"dead_lettered"}),
    REPLAY: frozenset({"replayed", "completed", "duplicate"}),
    TRACE: frozenset({"enqueued", "completed"}),
}
"""Events after which no more are waited for."""


@dataclass(slots=True)
class Kept:
    """The records, each with an id of its own."""

    records: list[dict[str, Any]] = field(default_factory=list)

    def add(self, kind: str, drill: str, **said: Any) -> dict[str, Any]:
        record = {"id": f"{kind}-{len(self.records) + 1:04}", "kind": kind, "drill": drill, **said}
        self.records.append(record)
        return record

    def told(self, drill: str) -> dict[str, Any] | None:
        return next((r for r in self.records if r["kind"] == "drill" and r["drill"] == drill), None)


@dataclass(slots=True, kw_only=True)
class Drills:
    """``spans`` finds those of the traces that a command is in; ``seconds`` is how long each thing is waited for,
    ``event_seconds`` how long the stream's last events are."""

    doors: OpenDoors
    opened: TableStores
    queues: Mapping[Lane, str]
    subject: str
    spans: Callable[[str], Awaitable[list[dict[str, Any]]]]
    seconds: float
    event_seconds: float
    poll_seconds: float
    say: Callable[[str, str], None] = lambda drill, said: None
    kept: Kept = field(default_factory=Kept)
    household_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    left: list[str] = field(default_factory=list)
    """What of the drills is still there at the end, in words."""

    @property
    def raw(self) -> RawRows:
        return RawRows(self.opened)

    async def run(self) -> Kept:
        """Raises `NotReachableError` and `StoreUnreachableError` where a drill cannot be carried out."""
        await self._build()
        async with self._household() as user:
            await asyncio.gather(self._retry(), self._dead_letter_and_replay(), self._trace(user))
            await self._keep_events()
            await self._keep_spans()
            await self._tidy()
        await self._build()
        return self.kept

    # ---------------------------------------------------------------------------------------------------- household

    @asynccontextmanager
    async def _household(self) -> AsyncIterator[str]:
        """A household of the drills' own, with the caller as its member and one source that may send past the API; both
        memberships are gone at the end."""
        user = uuid.uuid4().hex
        row: dict[str, str | bool | int | float | datetime] = {
            "HouseholdId": self.household_id,
            "Name": HOUSEHOLD_NAME,
            "Status": "Drill",
            "CreatedAtUtc": datetime.now(UTC),
        }
        source = {
            "subject": producer_subject(self.household_id, SOURCE),
            "householdUserId": uuid.uuid4().hex,
            "role": Role.INGEST.value,
            "source": SOURCE,
        }
        member: Mapping[str, str] = {"subject": self.subject, "householdUserId": user, "role": Role.MEMBER.value}
        listed: list[Mapping[str, str]] = []
        try:
            await self.opened.tables.insert("Households", encode_key(self.household_id), "household", row)
            for one in (member, source):
                listed.append(one)
                await self._let_in(one)
            yield user
        finally:
            for one in listed:
                await self._let_out(one)

    async def _let_in(self, member: Mapping[str, str]) -> None:
        """By the API, as anybody is let in: checked and audited. Raises `NotReachableError` where it is refused."""
        body = {"householdId": self.household_id, **member, "reason": HOUSEHOLD_NAME}
        answer = await self.doors.call("PUT", "/ops/members", body=body)
        if answer.status != 200:
            raise NotReachableError(
                f"the drills' household could not be given its members: the API answered {answer.words}; the token "
                f"needs the role {OPERATOR_ADMIN}"
            )

    async def _let_out(self, member: Mapping[str, str]) -> None:
        """By its row: the API keeps the last of a household who can decide, and nobody is to be left of this one."""
        keys = encode_key(member["subject"]), encode_key(member["householdUserId"])
        found = await self.opened.tables.read("HouseholdMembers", *keys)
        if found is not None and not await self.opened.tables.delete("HouseholdMembers", *keys, found.etag):
            self.left.append(f"a membership of household {self.household_id}")

    # -------------------------------------------------------------------------------------------------------- drills

    async def _retry(self) -> None:
        told, data = await self._send_batch(RETRY)
        self.say(RETRY, "sent; its batch is not there yet")
        await self._keep_failed(told)
        self.say(RETRY, "failed once; now the batch is put where it is looked for")
        await self.opened.stores.blobs.put(told["transactionsBlob"], data)
        await self._keep_settled(told)

    async def _dead_letter_and_replay(self) -> None:
        told, data = await self._send_batch(DEAD_LETTER)
        self.say(DEAD_LETTER, "sent; its batch will not be there")
        await self._keep_failed(told)
        await self._keep_settled(told)
        letters = await self._until(
            lambda: self.doors.dead_letters(told["queue"], told["messageId"]), lambda seen: bool(seen)
        )
        for letter in letters:
            self._keep_letter(told, letter)
        self.kept.add(
            "scan",
            DEAD_LETTER,
            table="LedgerTransactions",
            seen=SETTLED,
            householdId=self.household_id,
            seenAtUtc=iso(datetime.now(UTC)),
        )
        self.say(DEAD_LETTER, f"{len(letters)} dead letter" if letters else "no dead letter came")
        await self.opened.stores.blobs.put(told["transactionsBlob"], data)
        await self._replay(told)

    async def _replay(self, old: Mapping[str, Any]) -> None:
        self.say(REPLAY, "the batch is there now; the dead letter is replayed")
        body = {"lane": Lane.INGESTION.value, "select": {"commandIds": [old["commandId"]]}, "reason": REASON}
        await self._call(REPLAY, "POST", "/ops/replays", body={**body, "dryRun": True})
        answer = await self._call(REPLAY, "POST", "/ops/replays", body={**body, "dryRun": False})
        replay_id = str(answer.body.get("replayId"))
        if answer.status == 202:
            path = f"/ops/replays/{replay_id}"
            deadline = time.monotonic() + self.seconds
            while answer.body.get("state") == "running" and time.monotonic() < deadline:
                answer = await self.doors.call("POST", f"{path}/advance", body={})
                if answer.status != 200:
                    break
            await self._call(REPLAY, "GET", path)
        command_id = await self._until(lambda: self._replayed(old), bool) if answer.status < 300 else ""
        if not command_id:
            self.say(REPLAY, f"not replayed: the API answered {answer.words}")
            return
        envelope = await self._envelope(command_id)
        told = {**old, "commandId": command_id, "messageId": command_id, "correlationId": envelope["correlationId"]}
        kept = self.kept.add("drill", REPLAY, **{k: v for k, v in told.items() if k not in ("id", "kind", "drill")})
        await self._keep_settled(kept)
        for run_id in (ids.run_id(old["queue"], old["commandId"]), replay_id):
            self._keep(kept, SETTLED, await self.raw.decisions(run_id))
        await self._duplicate(kept, envelope)
        await self._keep_rows(kept, AGAIN)
        await self._keep_rows(old, AFTER)
        for what, seen in ((kept, AGAIN), (old, AFTER)):
            found = await self.doors.dead_letters(what["queue"], what["messageId"])
            self.kept.add(
                "peek", what["drill"], seen=seen, queue=what["queue"], messageId=what["messageId"], found=len(found)
            )

    async def _replayed(self, old: Mapping[str, Any]) -> str:
        """The one command of the household on that queue that no drill sent, whatever it says of itself; empty where
        there is none yet."""
        known = {record["commandId"] for record in self.kept.records if record["kind"] == "drill"}
        listed = self.opened.stores.commands.listed([old["queue"]], household_id=self.household_id)
        async for command in listed:
            if command.command_id not in known:
                return command.command_id
        return ""

    async def _envelope(self, command_id: str) -> dict[str, Any]:
        command = await self.opened.stores.commands.read(command_id)
        envelope: dict[str, Any] = json.loads(command.envelope) if command is not None else {}
        return envelope

    async def _duplicate(self, told: Mapping[str, Any], envelope: Mapping[str, Any]) -> None:
        """The very command once more, as its record has it; until the stream tells what became of it."""
        self.say(REPLAY, "completed; the same message is sent again")
        await self._sent(told, json.dumps(envelope, ensure_ascii=False).encode())

        async def answered() -> bool:
            kinds = [_kind(heard) for heard in self.doors.heard() if _about(heard, [told]) == REPLAY]
            return "duplicate" in kinds or "dead_lettered" in kinds or kinds.count("started") > 1

        await self._until(answered, bool, seconds=self.event_seconds)
        await self._ended(told)

    async def _trace(self, user: str) -> None:
        conversation = uuid.uuid4().hex
        body = {"message": QUESTION, "clientMessageId": f"release-evidence-{uuid.uuid4().hex}"}
        headers = {"X-Mosaic-Household-User-Id": user}
        path = f"/conversations/{conversation}/messages"
        answer = await self._call(TRACE, "POST", path, body=body, headers=headers)
        if answer.status != 202:
            self.say(TRACE, f"not enqueued: the API answered {answer.words}")
            return
        command_id = str(answer.body.get("commandId"))
        told = self.kept.add(
            "drill",
            TRACE,
            commandId=command_id,
            messageId=command_id,
            correlationId=str(answer.body.get("correlationId")),
            queue=str(answer.body.get("queue")),
            lane=Lane.CONVERSATION.value,
            householdId=self.household_id,
            conversationId=conversation,
            transactionIds=[],
        )
        self.say(TRACE, "enqueued by the API")
        await self._keep_settled(told)

    # ------------------------------------------------------------------------------------------------------- sending

    async def _send_batch(self, drill: str) -> tuple[dict[str, Any], bytes]:
        """An ingestion whose blob is not there, past the API; the drill's record, and what the blob is to hold."""
        command_id, batch_id, queue = uuid.uuid4().hex, uuid.uuid4().hex, self.queues[Lane.INGESTION]
        transaction_id = f"{drill}-{batch_id[:12]}"
        data = json.dumps({"transactionId": transaction_id, **_LINE}).encode() + b"\n"
        blob = f"{self.household_id}/{hashlib.sha256(data).hexdigest()}"
        correlation = f"ingestion:{self.household_id}:{batch_id}:{command_id}"
        payload = IngestionCompleted.model_validate(
            {
                "householdId": self.household_id,
                "batchId": batch_id,
                "source": SOURCE,
                "accountId": ACCOUNT,
                "transactionsBlob": blob,
            }
        )
        body = encode(
            command_id=command_id,
            correlation_id=correlation,
            command_type=CommandType.INGESTION_COMPLETED,
            created_at=datetime.now(UTC),
            payload=payload,
        )
        told = self.kept.add(
            "drill",
            drill,
            commandId=command_id,
            messageId=command_id,
            correlationId=correlation,
            queue=queue,
            lane=Lane.INGESTION.value,
            householdId=self.household_id,
            batchId=batch_id,
            transactionIds=[transaction_id],
            transactionsBlob=blob,
        )
        await self._sent(told, body.encode())
        return told, data

    async def _sent(self, told: Mapping[str, Any], body: bytes) -> None:
        await self.doors.send(
            told["queue"],
            body,
            told["messageId"],
            correlation_id=told["correlationId"],
            subject=CommandType.INGESTION_COMPLETED.value,
            application_properties={"householdId": self.household_id},
        )
        self.kept.add(
            "message",
            told["drill"],
            place="sent",
            queue=told["queue"],
            messageId=told["messageId"],
            correlationId=told["correlationId"],
            bodySha256=hashlib.sha256(body).hexdigest(),
            body=body.decode(),
            sentAtUtc=iso(datetime.now(UTC)),
        )

    async def _call(
        self,
        drill: str,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """A request whose answer is kept; with how far the service's clock is from ours (seconds, theirs less ours)."""
        before = datetime.now(UTC)
        answer = await self.doors.call(method, path, body=body, headers=headers)
        after = datetime.now(UTC)
        skew = None
        if answer.date:
            # cut to the second: half of one is its middle
            theirs = parsedate_to_datetime(answer.date).timestamp() + 0.5
            skew = round(theirs - (before.timestamp() + after.timestamp()) / 2, 2)
        self.kept.add(
            "answer",
            drill,
            method=method,
            path=path,
            status=answer.status,
            body=dict(answer.body),
            askedAtUtc=iso(before),
            answeredAtUtc=iso(after),
            clockSkewSeconds=skew,
        )
        return answer

    # ------------------------------------------------------------------------------------------------------- keeping

    async def _build(self) -> None:
        """What runs; an app that cannot yet tell whose token this is tells it to nobody."""
        for _ in range(_LOOKS):
            answer = await self._call("build", "GET", "/health/live")
            if answer.body.get("packageDigest"):
                break
            await asyncio.sleep(2 * self.poll_seconds)
        said = {name: answer.body.get(name) for name in ("version", "commit", "packageDigest")}
        self.kept.add("build", "build", **said, atUtc=iso(datetime.now(UTC)))

    async def _keep_failed(self, told: Mapping[str, Any]) -> None:
        """The rows while the command waits for its next attempt, all of one moment: the key is the same after."""
        queue, command_id = told["queue"], told["commandId"]

        async def failed() -> bool:
            rows = {row.table: row.row for row in await self.raw.of_command(queue, command_id)}
            run, key = rows.get("AgentRuns", {}), rows.get("IdempotencyKeys", {})
            return "FailureCode" in run or "NextAttemptAtUtc" in key or key.get("Status") in _TERMINAL

        await self._until(failed, bool)
        found: list[RawRow] = []
        for _ in range(_LOOKS):
            before = await self.raw.key(queue, command_id)
            found = await self.raw.of_command(queue, command_id)
            after = await self.raw.key(queue, command_id)
            is_still = before is not None and after is not None and before.etag == after.etag
            if is_still and before is not None and "NextAttemptAtUtc" in before.row:
                break
            if after is None or after.row.get("Status") in _TERMINAL:
                break
            await asyncio.sleep(self.poll_seconds)  # the key is written last
        self._keep(told, FAILED, found)

    async def _keep_settled(self, told: Mapping[str, Any]) -> None:
        await self._ended(told)
        await self._keep_rows(told, SETTLED)
        run = next((r for r in self.kept.records if _is_run(r, told["drill"])), None)
        self.say(told["drill"], f"run {run['row'].get('Status')}" if run is not None else "no run")

    async def _ended(self, told: Mapping[str, Any]) -> None:
        """Until its key is terminal, or nothing was heard of it for too long."""
        queue, command_id, drill = told["queue"], told["commandId"], told["drill"]
        changed, etag = time.monotonic(), ""
        while True:
            key = await self.raw.key(queue, command_id)
            if key is not None and key.row.get("Status") in _TERMINAL:
                return
            if key is not None and key.etag != etag:
                etag, changed = key.etag, max(changed, time.monotonic() + _wait_of(key))
                if "NextAttemptAtUtc" in key.row:
                    due = str(key.row["NextAttemptAtUtc"])[11:19]
                    self.say(drill, f"attempt {key.row.get('Attempt')} failed, the next is due at {due}")
            if time.monotonic() > changed + self.seconds:
                self.say(drill, f"still not ended, {self.seconds:.0f} s after it was due")
                return
            await asyncio.sleep(self.poll_seconds)

    async def _keep_rows(self, told: Mapping[str, Any], seen: str) -> None:
        found = await self.raw.of_command(told["queue"], told["commandId"])
        own = set(told["transactionIds"])
        ledger = await self.raw.ledger(self.household_id)
        self._keep(told, seen, [*found, *(row for row in ledger if row.row.get("TransactionId") in own)])

    def _keep(self, told: Mapping[str, Any], seen: str, found: Sequence[RawRow]) -> None:
        now = iso(datetime.now(UTC))
        for row in found:
            self.kept.add(
                "row", told["drill"], seen=seen, seenAtUtc=now, table=row.table, etag=row.etag, row=dict(row.row)
            )

    def _keep_letter(self, told: Mapping[str, Any], letter: Any) -> None:
        self.kept.add(
            "message",
            told["drill"],
            place="deadLetter",
            seen=SETTLED,
            queue=told["queue"],
            messageId=letter.message_id,
            correlationId=letter.correlation_id,
            subject=letter.subject,
            sequenceNumber=letter.sequence_number,
            deliveryCount=letter.delivery_count,
            enqueuedAtUtc=iso(letter.enqueued_time_utc) if letter.enqueued_time_utc else None,
            deadLetterReason=letter.dead_letter_reason,
            deadLetterErrorDescription=letter.dead_letter_error_description,
            bodySha256=hashlib.sha256(b"".join(letter.body)).hexdigest(),
        )

    async def _keep_events(self) -> None:
        told = [record for record in self.kept.records if record["kind"] == "drill"]

        async def missing() -> bool:
            kinds: dict[str, set[str]] = {record["drill"]: set() for record in told}
            for heard in self.doors.heard():
                if (drill := _about(heard, told)) in kinds:
                    kinds[drill].add(_kind(heard))
            return any(_ENDS[drill] - seen for drill, seen in kinds.items())

        self.say("", "waiting for the stream")
        await self._until(missing, lambda seen: not seen, seconds=self.event_seconds)
        await asyncio.sleep(self.poll_seconds)  # another instance's may be on their way
        for heard in self.doors.heard():
            drill = _about(heard, told)
            if drill is None and heard.event.get("partitionkey") != self.household_id:
                continue  # another household's
            self.kept.add(
                "event",
                drill or "",
                partition=heard.partition,
                sequenceNumber=heard.sequence_number,
                enqueuedAtUtc=iso(heard.enqueued_at) if heard.enqueued_at else None,
                event=dict(heard.event),
            )

    async def _keep_spans(self) -> None:
        self.say("", "waiting for telemetry")
        told = [record for record in self.kept.records if record["kind"] == "drill"]
        for record in told:
            for span in await self.spans(str(record["commandId"])):
                self.kept.add("span", record["drill"], span=span)

    async def _tidy(self) -> None:
        """A drill must leave nobody anything to do: its signal is resolved, in the caller's name, where its replay has
        not done so."""
        old = self.kept.told(DEAD_LETTER)
        if old is None:
            return
        signal_id = ids.failure_signal_id(ids.run_id(old["queue"], old["commandId"]))
        stored = await self.opened.stores.signals.read(signal_id)
        if stored is not None and not stored.value.is_resolved:
            answer = await self._call("", "POST", f"/ops/signals/{signal_id}/resolve", body={"note": NOTE})
            if answer.status != 200:
                self.left.append(f"signal {signal_id}, open")
        if await self.doors.dead_letters(old["queue"], old["messageId"]):
            self.left.append(f"dead letter {old['messageId']} of {old['queue']}")

    async def _until[T](
        self, look: Callable[[], Awaitable[T]], good: Callable[[T], object], *, seconds: float | None = None
    ) -> T:
        wait = self.seconds if seconds is None else seconds
        return await until(look, good, seconds=wait, poll_seconds=self.poll_seconds)


def _is_run(record: Mapping[str, Any], drill: str) -> bool:
    return (record["kind"], record["drill"]) == ("row", drill) and (record["table"], record["seen"]) == (
        "AgentRuns",
        SETTLED,
    )


def _wait_of(key: RawRow) -> float:
    """Seconds until the key's next attempt is due."""
    due = key.row.get("NextAttemptAtUtc")
    if not isinstance(due, str):
        return 0.0
    return max(0.0, (datetime.fromisoformat(due) - datetime.now(UTC)).total_seconds())


def _kind(heard: Heard) -> str:
    return str(heard.event.get("type", "")).rpartition(".")[2]


def _about(heard: Heard, told: Sequence[Mapping[str, Any]]) -> str | None:
    """The drill whose command any of the event's ids names: one that lacks another of them is to be seen as well."""
    data = heard.event.get("data")
    named = data if isinstance(data, Mapping) else {}
    said = {named.get("commandId"), named.get("messageId"), named.get("correlationId"), heard.event.get("subject")}
    for record in told:
        if said & {record["commandId"], record["correlationId"]}:
            return str(record["drill"])
    return None
