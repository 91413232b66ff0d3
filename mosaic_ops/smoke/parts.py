"""The checks, one by one: each a coroutine that says in a line what it saw, or raises why it is not so."""

from __future__ import annotations

import asyncio
import base64
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from mosaic_core.domain import ids, signals
from mosaic_core.domain.envelope import NightlyAnomalySweep, encode, request_hash
from mosaic_core.domain.errors import StoreUnreachableError
from mosaic_core.domain.lanes import CommandType, Lane
from mosaic_core.domain.reasons import DeadLetterReason
from mosaic_core.domain.records import Command, OutboxEntry
from mosaic_core.ports import Stores
from mosaic_ops.smoke.doors import Doors
from mosaic_ops.smoke.errors import NotReachableError, NotSoError
from mosaic_ops.smoke.waiting import until
from mosaic_ops.smoke.workspace import Workspace

FUNCTIONS: Final = "functions"
HEALTH: Final = "health"
BUILD: Final = "build"
INGESTION: Final = "ingestion"
CONVERSATION: Final = "conversation"
SWEEP: Final = "sweep"
REJECTED: Final = "rejected"
EVENTS: Final = "events"
WORKSPACE: Final = "workspace"

FIRST: Final = (FUNCTIONS, HEALTH)
"""Where one of them is not so, nothing is sent."""

PARTS: Final = (*FIRST, BUILD, INGESTION, CONVERSATION, SWEEP, REJECTED, EVENTS, WORKSPACE)
WITHOUT_TOKEN: Final = frozenset(FIRST)

QUESTION: Final = "What did we spend last month?"
TRANSACTION: Final[Mapping[str, str]] = {
    "transactionId": "mosaic-smoke-1",
    "postedOn": "2026-01-02",
    "amount": "-1.00",
    "currency": "USD",
    "description": "STARBUCKS STORE 1234",
}
"""Always the same, so that the household's ledger has it once, however often it is sent."""

SOURCE: Final = "smoke"
ACCOUNT: Final = "mosaic-smoke"
EMPTY_NIGHT: Final = date(2001, 1, 1)
"""The night of the sweep: nothing was spent before it, so nothing can be found."""

BAD_BODY: Final = b'{"commandId": "'
RESOLVED_BY: Final = "mosaic smoke"


@dataclass(frozen=True, slots=True)
class Finding:
    """``good`` None: not tried. ``unreachable``: nobody answered, so nothing can be said."""

    name: str
    good: bool | None
    detail: str
    seconds: float = 0.0
    unreachable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the package says. ``digest`` and ``commit`` empty: whatever is there."""

    functions: frozenset[str]
    digest: str = ""
    commit: str = ""


@dataclass(slots=True, kw_only=True)
class Smoke:
    """One smoke test. ``stores`` and ``queues`` are asked for when they are first needed; ``seconds`` is how long each
    part waits for what it looks for."""

    doors: Doors
    expected: Expected
    token: str
    stores: Callable[[], Awaitable[Stores]]
    queues: Callable[[], Awaitable[Mapping[Lane, str]]]
    workspace: Workspace | None = None
    seconds: float = 300.0
    poll_seconds: float = 2.0
    say: Callable[[Finding], None] = lambda finding: None
    trace_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    _question: asyncio.Future[str] | None = None

    async def run(self, parts: Sequence[str]) -> list[Finding]:
        """The findings of the parts, in their order. Nothing is raised for what a part finds."""
        self._question = asyncio.get_running_loop().create_future()
        first = [part for part in parts if part in FIRST]
        rest = [part for part in parts if part not in FIRST]
        findings = await asyncio.gather(*(self._try(part) for part in first))
        if not all(finding.good for finding in findings):
            skipped = [Finding(part, None, "not tried: the app is not ready") for part in rest]
            for finding in skipped:
                self.say(finding)
            return [*findings, *skipped]
        return [*findings, *await asyncio.gather(*(self._try(part) for part in rest))]

    async def _try(self, part: str) -> Finding:
        begun = time.monotonic()
        try:
            detail = await getattr(self, f"_{part}")()
            finding = Finding(part, True, detail, time.monotonic() - begun)
        except NotSoError as error:
            finding = Finding(part, False, str(error), time.monotonic() - begun)
        except (NotReachableError, StoreUnreachableError) as error:
            finding = Finding(part, False, str(error), time.monotonic() - begun, unreachable=True)
        except Exception as error:  # one part must not hide what the others find
            finding = Finding(part, False, f"{type(error).__name__}: {error}"[:300], time.monotonic() - begun)
        if part == CONVERSATION and self._question is not None and not self._question.done():
            self._question.cancel()  # nobody need wait for its command
        self.say(finding)
        return finding

    # -- the app as a whole --------------------------------------------------------------------------------------

    async def _functions(self) -> str:
        """All of them, and no others: an app that failed to start has none, or two."""
        wanted = self.expected.functions

        async def look() -> tuple[set[str], set[str]]:
            listed = await self.doors.functions()
            return {function.name for function in listed}, {it.name for it in listed if it.is_disabled}

        there, disabled = await self._until(look, lambda seen: seen[0] == wanted and not seen[1])
        wrong = [f"missing {name}" for name in sorted(wanted - there)]
        wrong += [f"unexpected {name}" for name in sorted(there - wanted)]
        wrong += [f"disabled {name}" for name in sorted(disabled)]
        if wrong:
            raise NotSoError(f"{len(there)} of {len(wanted)} functions: {', '.join(wrong)}")
        return f"all {len(wanted)}, by name"

    async def _health(self) -> str:
        answer = await self._until(lambda: self.doors.call("GET", "/health/ready"), lambda seen: seen.status == 200)
        states = answer.body.get("dependencies")
        dependencies = states if isinstance(states, list) else []
        down = [_dependency(it) for it in dependencies if isinstance(it, Mapping) and it.get("state") != "up"]
        if answer.status != 200:
            raise NotSoError(f"{answer.words} after {self.seconds:.0f} s: {', '.join(down) or 'no dependency named'}")
        return f"ready, {len(dependencies) - len(down)} dependencies up" + (f"; {', '.join(down)}" if down else "")

    async def _build(self) -> str:
        answer = await self.doors.call("GET", "/health/live")
        digest, commit = str(answer.body.get("packageDigest") or ""), str(answer.body.get("commit") or "")
        if not digest:
            raise NotSoError("the token lacks Mosaic.Operator.Read: which package runs is not told")
        if self.expected.digest and digest != self.expected.digest:
            raise NotSoError(f"package {digest} runs, {self.expected.digest} is expected")
        if self.expected.commit and commit != self.expected.commit:
            raise NotSoError(f"commit {commit} runs, {self.expected.commit} is expected")
        return f"{answer.body.get('version')}, commit {commit[:12]}, package {digest[:12]}"

    # -- the lanes -----------------------------------------------------------------------------------------------

    async def _ingestion(self) -> str:
        household = await self._household()
        body = {
            "batchId": uuid.uuid4().hex,
            "source": SOURCE,
            "accountId": ACCOUNT,
            "transactions": [dict(TRANSACTION)],
        }
        return await self._followed(await self._posted(f"/households/{household}/ingestions", body))

    async def _conversation(self) -> str:
        body = {"message": QUESTION, "clientMessageId": f"smoke-{uuid.uuid4().hex}"}
        # a trace that we know the id of, sampled, so that the workspace can be asked for it
        headers = {"traceparent": f"00-{self.trace_id}-{uuid.uuid4().hex[:16]}-01"}
        sent = await self._posted(f"/conversations/{uuid.uuid4().hex}/messages", body, headers)
        detail = await self._followed(sent)
        if self._question is not None:
            self._question.set_result(str(sent["commandId"]))
        return detail

    async def _sweep(self) -> str:
        """No route makes a sweep, and nobody but the app may send one. It is recorded as the app's timer records it;
        the app sends what is recorded and not sent."""
        household, stores = await self._household(), await self.stores()
        queue = (await self.queues())[Lane.SWEEP]
        command_id, now = uuid.uuid4().hex, datetime.now(UTC)
        payload = NightlyAnomalySweep.model_validate(
            {"householdId": household, "sweepDate": EMPTY_NIGHT.isoformat(), "lookbackDays": 7}
        )
        envelope = encode(
            command_id=command_id,
            correlation_id=f"sweep:{household}:{EMPTY_NIGHT:%Y%m%d}:{command_id}",
            command_type=CommandType.NIGHTLY_ANOMALY_SWEEP,
            created_at=now,
            payload=payload,
        )
        command = Command(
            command_id=command_id,
            household_id=household,
            queue=queue,
            command_type=CommandType.NIGHTLY_ANOMALY_SWEEP,
            request_hash=request_hash(CommandType.NIGHTLY_ANOMALY_SWEEP, payload),
            envelope=envelope,
            recorded_at=now,
        )
        due = now - timedelta(minutes=1)  # at the app's next look, whatever its clock says
        await stores.outbox.insert(
            OutboxEntry(entry_id=uuid.uuid4().hex, command_id=command_id, queue=queue, announced_at=now, due_at=due)
        )
        await stores.commands.insert(command)
        await self.doors.send_unsent()
        return await self._followed({"queue": queue, "commandId": command_id})

    async def _posted(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        answer = await self.doors.call("POST", path, body=body, headers=headers)
        if answer.status != 202:
            raise NotSoError(f"POST {path.rpartition('/')[2]} answered {answer.words}")
        return answer.body

    async def _followed(self, sent: Mapping[str, Any]) -> str:
        """Until the command's run is final; then it has to be completed."""
        run_id = ids.run_id(str(sent["queue"]), str(sent["commandId"]))
        begun = time.monotonic()

        async def look() -> Mapping[str, Any]:
            answer = await self.doors.call("GET", f"/runs/{run_id}")
            found = answer.body.get("run") if answer.status == 200 else None
            return found if isinstance(found, Mapping) else {}

        run = await self._until(look, lambda seen: bool(seen.get("isFinal")))
        where = f"command {sent['commandId']}, run {run_id}"
        if not run:
            raise NotSoError(f"no worker began it within {self.seconds:.0f} s: {where}")
        if not run.get("isFinal"):
            code = f" ({run['failureCode']})" if run.get("failureCode") else ""
            raise NotSoError(f"still {run.get('status')}{code} after {self.seconds:.0f} s: {where}")
        if run.get("status") != "Completed":
            raise NotSoError(f"ended as {run.get('status')}, {run.get('failureCode')}: {where}")
        return f"completed in {time.monotonic() - begun:.1f} s, run {run_id}"

    # -- what goes wrong, and what is told ------------------------------------------------------------------------

    async def _rejected(self) -> str:
        """A message that is no JSON is dead-lettered with its reason, and a person is asked. Both are cleared away once
        they are seen: a smoke test must not raise an alert."""
        queue, stores = (await self.queues())[Lane.INGESTION], await self.stores()
        message_id = f"smoke-{uuid.uuid4().hex}"
        signal_id = ids.rejected_message_signal_id(queue, message_id, DeadLetterReason.INVALID_JSON.value)
        await self.doors.send(queue, BAD_BODY, message_id)
        reason = await self._until(lambda: self.doors.dead_letter(queue, message_id), lambda seen: seen is not None)
        stored = await self._until(lambda: stores.signals.read(signal_id), lambda seen: seen is not None)
        if reason is None:
            raise NotSoError(f"not dead-lettered within {self.seconds:.0f} s: message {message_id} on {queue}")
        removed = await self.doors.remove_dead_letter(queue, message_id)
        if reason != DeadLetterReason.INVALID_JSON:
            raise NotSoError(f"dead-lettered {reason or 'without a reason'}, not invalid_json: message {message_id}")
        if stored is None:
            raise NotSoError(f"no signal within {self.seconds:.0f} s for dead-lettered message {message_id}")
        signal = stored.value
        if (signal.signal_code, signal.requires_human_review) != (signals.COMMAND_REJECTED, True):
            raise NotSoError(f"signal {signal_id} is {signal.signal_code} and asks nobody")
        done = signals.resolve(signal, by=RESOLVED_BY, note="a smoke test's own message", now=datetime.now(UTC))
        resolved = await stores.signals.update(done, stored.etag) is not None
        left = [what for what, gone in (("its dead letter", removed), ("its signal", resolved)) if not gone]
        return "dead-lettered invalid_json, signal raised" + (f"; left behind: {', '.join(left)}" if left else "")

    async def _events(self) -> str:
        command_id = await self._questioned()
        wanted = "mosaic.runtime.command.completed"
        told = await self._until(lambda: self.doors.events(command_id), lambda seen: wanted in seen)
        if wanted not in told:
            raise NotSoError(f"the hub told {len(told)} events of command {command_id}, none of its completion")
        return f"the hub told {len(told)} events of the conversation's command"

    async def _workspace(self) -> str:
        """Azure Monitor takes minutes to show what it has been sent."""
        if self.workspace is None:
            raise NotSoError("no workspace was named")
        workspace = self.workspace
        command_id = await self._questioned()
        seen = await self._until(lambda: workspace.arrived(self.trace_id, command_id), lambda seen: seen.missing == [])
        if seen.missing:
            raise NotSoError(
                f"no {', no '.join(seen.missing)} of trace {self.trace_id} within {self.seconds:.0f} s; "
                f"see what telemetry needs: the identity's role, the two telemetry settings"
            )
        return f"{seen.requests} requests, {seen.spans} spans, {seen.logs} log lines of trace {self.trace_id}"

    async def _questioned(self) -> str:
        """The conversation's command, once it is completed."""
        if self._question is None:
            raise NotSoError("no command was sent")
        try:
            return await asyncio.shield(self._question)
        except asyncio.CancelledError:
            if self._question.cancelled():
                raise NotSoError("the conversation's command was not completed") from None
            raise

    # -- helpers -------------------------------------------------------------------------------------------------

    async def _household(self) -> str:
        """Of the caller's one active membership."""
        subject = subject_of(self.token)
        found = [m for m in await (await self.stores()).members.of_subject(subject) if m.status.lower() == "active"]
        if len(found) != 1:
            raise NotSoError(f"the token's subject has {len(found)} active memberships; give it one, of its own")
        return found[0].household_id

    async def _until[T](self, look: Callable[[], Awaitable[T]], good: Callable[[T], object]) -> T:
        return await until(look, good, seconds=self.seconds, poll_seconds=self.poll_seconds)


def _dependency(state: Mapping[str, Any]) -> str:
    """Name, state and reason, as readiness tells them: none of them is a value."""
    return " ".join(str(state[key]) for key in ("name", "state", "reason") if state.get(key))


def subject_of(token: str) -> str:
    """The ``sub`` claim. Nothing is verified: it is our own token, and the API judges it. Raises `NotSoError`."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims["sub"])
    except (IndexError, ValueError, KeyError, TypeError):
        raise NotSoError("the token is no JWT with a subject") from None
