"""What becomes of an agent's proposals: each is validated, judged by the policy, and applied, refused or left to a
person.

Nothing that a model says counts here but the action's name and its arguments: not its summary, not its claim that
somebody has approved already.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mosaic_core.computing import compute
from mosaic_core.domain import ids
from mosaic_core.domain.lifecycle import ApprovalStatus, DecisionOutcome, Severity
from mosaic_core.domain.policy import ImpactClass
from mosaic_core.domain.policy import approval as approvals
from mosaic_core.domain.policy.actions import REQUEST, InvalidProposalError, name_of, request_of, rows_of, validated
from mosaic_core.domain.policy.approval import Action, action_of
from mosaic_core.domain.policy.rules import Proposed, Ruling, Verdict
from mosaic_core.domain.records import Approval
from mosaic_core.domain.transactions import Transaction
from mosaic_core.lanes.context import LaneContext
from mosaic_core.lanes.conversation import effects, sessions
from mosaic_core.lanes.conversation.audit import POLICY, audit
from mosaic_core.lanes.conversation.effects import Done, Requester
from mosaic_core.lanes.conversation.exchange import Exchange
from mosaic_core.lanes.conversation.lane_setup import Rules
from mosaic_core.lanes.conversation.sessions import Asked, PendingProposals
from mosaic_core.ports import AgentReply, AgentTurn, Proposal

MOST: Final = 10
"""Proposals of one reply that are looked at; the rest are refused."""

APPROVAL_REQUIRED: Final = "approval_required"
TOO_MANY: Final = "too_many_proposals"
NOT_APPLIED: Final = "not_applied"
"""A row has what somebody chose later: it is left, and nobody is told that it was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalOutcome:
    """What became of one proposal: ``told`` is what the agent hears, ``approval`` what it waits for, if anything.
    ``kept``: a later choice stands against it, wholly or in part."""

    call_id: str
    action: str
    reason_code: str
    told: str
    refused: bool = False
    kept: bool = False
    approval: Approval | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    proposal: Proposal
    action: Action
    ruling: Ruling


class Proposals:
    """Those of one exchange. ``requested_by`` is whose message they answer, ``subject`` that person's token's."""

    def __init__(
        self,
        rules: Rules,
        context: LaneContext,
        exchange: Exchange,
        turn: Callable[[], Awaitable[AgentTurn]],
        *,
        requested_by: str,
        subject: str,
    ) -> None:
        self._rules = rules
        self._context = context
        self._exchange = exchange
        self._turn = turn
        self._requested_by, self._subject = requested_by, subject

    async def settle(self, reply: AgentReply, number: int) -> list[ProposalOutcome]:
        """Apply, refuse, or ask a person. Repeating it for the same reply (the turn's of that number) changes nothing:
        what was asked for once is asked for again, whatever the policy would say now."""
        turn = await self._turn()
        if self._exchange.goes_on:
            there = await sessions.landed_batch(self._context.stores, turn.household_id, self._exchange.turn_id, number)
            if there is not None:
                return _settled_before(reply, there[1]) + await self._ask(turn, *there)
        settled: list[ProposalOutcome] = []
        applied: list[tuple[int, _Judged, Done]] = []
        waiting: list[_Judged] = []
        calls: set[str] = set()
        ledger = {t.transaction_id: t for t in turn.transactions}
        for place, proposal in enumerate(reply.proposals):
            try:
                if place >= MOST:
                    raise InvalidProposalError(f"a reply may propose {MOST} actions", code=TOO_MANY)
                if proposal.call_id in calls:
                    raise InvalidProposalError("another proposal of this reply has the same call id")
                calls.add(proposal.call_id)
                judged = await self._judge(turn, ledger, proposal, reply.answer.confidence)
            except InvalidProposalError as error:
                settled.append(await self._refused(proposal, name_of(proposal.action), error.code, error.rationale))
                continue
            match judged.ruling.verdict:
                case Verdict.APPLY:
                    done = await self._apply(turn, ledger, judged)
                    applied.append((len(settled), judged, done))
                    settled.append(_applied(judged, done))
                case Verdict.REFUSE:
                    ruling = judged.ruling
                    settled.append(
                        await self._refused(proposal, judged.action.name, ruling.reason_code, ruling.rationale)
                    )
                case Verdict.APPROVE:
                    waiting.append(judged)
        later: dict[tuple[str, str], str] = {}
        for index, judged, done in reversed(applied):
            # what a later one of the same reply has changed again is not told as done
            settled[index] = _applied(judged, done.but_for(later))
            later = {**done.says, **later}
        if not waiting:
            return settled
        batch = PendingProposals(
            state=reply.state,
            run_id=turn.run_id,
            question=turn.question,
            requested_by=self._requested_by,
            requested_by_subject=self._subject,
            results={s.call_id: s.told for s in settled},
            waiting={j.proposal.call_id: ids.approval_id(self._exchange.turn_id, j.action.hash) for j in waiting},
            asked={
                j.proposal.call_id: Asked(
                    action_json=j.action.json,
                    impact=j.ruling.impact.value,
                    reason_code=j.ruling.reason_code,
                    rationale=j.ruling.rationale,
                    confidence=reply.answer.confidence,
                )
                for j in waiting
            },
        )
        # stored first: an approval never points at nothing
        there = await sessions.land_batch(
            self._context.stores, turn.household_id, self._exchange.turn_id, number, batch
        )
        return settled + await self._ask(turn, *there)

    async def _judge(
        self, turn: AgentTurn, ledger: Mapping[str, Transaction], proposal: Proposal, confidence: float
    ) -> _Judged:
        name = name_of(proposal.action)
        if name == "unnamed":
            raise InvalidProposalError("what was proposed has no action's name")
        # a thread: a model's arguments are as long as it likes, and every text of them is read in many ways
        arguments = await compute(validated, name, proposal.arguments)
        rows, severity = await self._scope(turn, ledger, name, arguments)
        ruling = await compute(
            self._rules.policy.evaluate,
            Proposed(action=name, arguments=arguments, confidence=confidence, rows=rows, severity=severity),
        )
        return _Judged(proposal=proposal, action=Action(name, arguments), ruling=ruling)

    async def _scope(
        self, turn: AgentTurn, ledger: Mapping[str, Transaction], name: str, arguments: Mapping[str, Any]
    ) -> tuple[int, Severity | None]:
        """How many rows, of which signal. What is not the household's own is not there."""
        named = rows_of(name, arguments)
        rows = len(named)
        if not all(i in ledger for i in named):
            raise InvalidProposalError("it names rows that the household's ledger does not hold")
        if name == REQUEST and arguments != request_of(turn.question, turn.user_note):
            raise InvalidProposalError("a request holds the member's own words, and no others")
        if name == "dismiss_signal":
            signal = await effects.finding(self._context, turn.household_id, arguments["signalId"])
            if signal is None:
                raise InvalidProposalError("it names a signal that is no finding of this household")
            return rows, signal.severity
        return rows, None

    async def _apply(self, turn: AgentTurn, ledger: Mapping[str, Transaction], judged: _Judged) -> Done:
        action, ruling = judged.action, judged.ruling
        exchange = self._exchange
        wish = Requester(set_by=self._requested_by, asked_at=exchange.origin.created_at, turn_id=exchange.turn_id)
        done = await effects.apply(self._context, turn.household_id, action, wish, ledger)
        if done.landed:
            await self._audit(action.name, DecisionOutcome.APPLIED, ruling.reason_code, ruling.rationale, action.hash)
        else:
            await self._audit(action.name, DecisionOutcome.REJECTED, NOT_APPLIED, done.text, action.hash)
        return done

    async def _refused(self, proposal: Proposal, name: str, code: str, rationale: str) -> ProposalOutcome:
        await self._audit(name, DecisionOutcome.REJECTED, code, rationale, proposal.call_id)
        return ProposalOutcome(
            call_id=proposal.call_id, action=name, reason_code=code, told=f"refused: {rationale}", refused=True
        )

    async def _ask(self, turn: AgentTurn, name: str, batch: PendingProposals) -> list[ProposalOutcome]:
        """A pending approval for each; effects of kind 1."""
        settled = []
        for call_id, asked in batch.asked.items():
            action = action_of(asked.action_json)
            approval = await request_approval(
                self._rules,
                self._context,
                action,
                exchange=self._exchange,
                conversation_id=turn.conversation_id,
                requested_by=batch.requested_by,
                subject=batch.requested_by_subject,
                impact=ImpactClass(asked.impact),
                summary=approvals.summary(action, ImpactClass(asked.impact)),
                reason_code=asked.reason_code,
                rationale=asked.rationale,
                confidence=asked.confidence,
                batch=name,
            )
            settled.append(
                ProposalOutcome(
                    call_id=call_id,
                    action=action.name,
                    reason_code=asked.reason_code,
                    told="a person has to approve this first",
                    approval=approval,
                )
            )
        return settled

    async def _audit(
        self, action: str, outcome: DecisionOutcome, reason_code: str, rationale: str, subject: str
    ) -> None:
        await audit(
            self._context,
            actor=POLICY,
            action=action,
            outcome=outcome,
            reason_code=reason_code,
            rationale=rationale,
            confidence=1.0,
            policy_version=self._rules.policy.version,
            subject=subject,
        )


def _applied(judged: _Judged, done: Done) -> ProposalOutcome:
    return ProposalOutcome(
        call_id=judged.proposal.call_id,
        action=judged.action.name,
        reason_code=NOT_APPLIED if done.kept else judged.ruling.reason_code,
        told=done.summary if done.kept else f"{done.summary}: {done.text}",
        kept=bool(done.kept),
    )


def _settled_before(reply: AgentReply, batch: PendingProposals) -> list[ProposalOutcome]:
    """What an earlier attempt, or another run, made of the proposals that do not wait."""
    names = {p.call_id: name_of(p.action) for p in reply.proposals}
    return [
        ProposalOutcome(
            call_id=call_id,
            action=names.get(call_id, "unnamed"),
            reason_code="settled_before",
            told=told,
            refused=told.startswith("refused"),
            kept=told.startswith(("partly", "not applied")),
        )
        for call_id, told in batch.results.items()
    ]


async def request_approval(
    rules: Rules,
    context: LaneContext,
    action: Action,
    *,
    exchange: Exchange,
    conversation_id: str,
    requested_by: str,
    subject: str,
    impact: ImpactClass,
    summary: str,
    reason_code: str,
    rationale: str,
    confidence: float,
    batch: str | None = None,
) -> Approval:
    """A pending approval of the exact action, and its audit row. The same again is the same row, as it was stored."""
    now, origin = context.now(), exchange.origin
    approval = Approval(
        approval_id=ids.approval_id(exchange.turn_id, action.hash),
        household_id=context.envelope.household_id,
        conversation_id=conversation_id,
        run_id=origin.run_id,
        command_id=origin.command_id,
        requested_by=requested_by,
        requested_by_subject=subject,
        action_kind=impact.value,
        action_summary=summary,
        action_hash=action.hash,
        policy_version=rules.policy.version,
        status=ApprovalStatus.PENDING,
        created_at=now,
        expires_at=now + rules.approval_expiry,
        action_json=action.json,
        batch=batch,
        turn_id=exchange.turn_id if exchange.turn_id != origin.run_id else None,
    )
    store, again = context.stores.approvals, context.attempt > 1 or approval.turn_id is not None
    # who comes again reads first: an insert lists it under its own time before it finds the row there
    stored = await store.read(approval.household_id, approval.approval_id) if again else None
    if stored is None and await store.insert(approval) is None:
        stored = await store.read(approval.household_id, approval.approval_id)
    approval = stored.value if stored is not None else approval
    await audit(
        context,
        actor=POLICY,
        action=impact.value,
        outcome=DecisionOutcome.DEFERRED,
        reason_code=reason_code,
        rationale=rationale,
        confidence=confidence,
        policy_version=rules.policy.version,
        approval_id=approval.approval_id,
    )
    return approval


def awaits(pending: Sequence[Approval]) -> str:
    """What a run that asked says of what it waits for: ids and kinds."""
    if len(pending) == 1:
        return f"approval {pending[0].approval_id} was asked for ({pending[0].action_kind}); nothing is done without it"
    named = ", ".join(f"{a.approval_id} ({a.action_kind})" for a in pending[:8])
    return f"{len(pending)} approvals were asked for, nothing is done without them: {named}"
