"""What a changed policy file would have decided where the policy has decided already. Reads, and writes nothing.

What is judged are proposals, each by itself, and whether an answer is sure enough: what a person says is judged by
nothing. Nothing here carries a message's text or an action's arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mosaic_core.concurrency import each, together
from mosaic_core.domain import ids
from mosaic_core.domain.errors import LaneError
from mosaic_core.domain.lifecycle import DecisionOutcome, Severity, StageStatus
from mosaic_core.domain.policy.actions import InvalidProposalError, name_of, rows_of, validated
from mosaic_core.domain.policy.approval import Action, stored_action
from mosaic_core.domain.policy.rules import PolicyEngine, Proposed, Verdict
from mosaic_core.domain.records import Conversation, Decision, Run, Stage
from mosaic_core.lanes.conversation import sessions
from mosaic_core.lanes.conversation.audit import decision_id
from mosaic_core.lanes.conversation.endings import CHANGED, EXPIRED
from mosaic_core.lanes.conversation.proposals import NOT_APPLIED, TOO_MANY
from mosaic_core.ports import AgentReply, Stores

ANSWER: Final = "answer"
GIVEN: Final = "given"
REVIEW: Final = "review"
LIMIT: Final = 50
"""Commands of a conversation that are looked at, newest first, unless more are asked for."""

CONVERSATIONS: Final = 1000
"""Conversations of a household that are looked at, whatever is asked for."""

_AT_ONCE: Final = 16
_ANSWER_RULE: Final = "thresholds.answer"
_BEFORE_ANY_RULE: Final = frozenset({InvalidProposalError.code, TOO_MANY, NOT_APPLIED, EXPIRED, CHANGED})
"""Refusals that no rules file had a say in, and what became of an approval or a row without one."""

_POLICY: Final = "policy/"
_VERDICTS: Final[Mapping[DecisionOutcome, Verdict]] = {
    DecisionOutcome.APPLIED: Verdict.APPLY,
    DecisionOutcome.DEFERRED: Verdict.APPROVE,
    DecisionOutcome.REJECTED: Verdict.REFUSE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """``decision`` is a verdict (on an action), or whether an answer is `GIVEN` or goes to `REVIEW`. ``rule`` names the
    rule of the file, where one decided and it is known."""

    decision: str
    reason: str
    policy_version: str
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One decision, as recorded and as the candidate takes it. ``judged``: `ANSWER` or an action's name."""

    judged: str
    recorded: Judgement
    candidate: Judgement
    run_id: str = ""
    command_id: str = ""
    household_id: str = ""
    conversation_id: str = ""

    @property
    def changed(self) -> bool:
        """Whether something else would have happened; another reason for the same is no change."""
        return self.recorded.decision != self.candidate.decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A recorded decision that cannot be taken again, because what it was about is not kept any more."""

    run_id: str
    command_id: str
    judged: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """``commands`` were looked at, of which ``undecided`` have no decision of the policy (yet). ``is_complete``: no
    conversation had more commands, and no household more conversations, than were looked at."""

    commands: int = 0
    undecided: int = 0
    comparisons: tuple[Comparison, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    is_complete: bool = True

    def __add__(self, other: DryRun) -> DryRun:
        return DryRun(
            commands=self.commands + other.commands,
            undecided=self.undecided + other.undecided,
            comparisons=self.comparisons + other.comparisons,
            unknown=self.unknown + other.unknown,
            is_complete=self.is_complete and other.is_complete,
        )

    @property
    def changed(self) -> int:
        return sum(comparison.changed for comparison in self.comparisons)


# ---------------------------------------------------------------------------------------------------- what one decides


def judge_proposal(
    policy: PolicyEngine,
    action: str,
    arguments: Mapping[str, Any],
    *,
    confidence: float,
    rows: int | None = None,
    severity: Severity | None = None,
) -> Judgement:
    """As the conversation lane judges a proposal. ``rows`` None: as many as the arguments name."""
    name = name_of(action)
    try:
        if name == "unnamed":
            raise InvalidProposalError("what was proposed has no action's name")
        arguments = validated(name, arguments)
    except InvalidProposalError as error:
        return Judgement(decision=Verdict.REFUSE.value, reason=error.code, policy_version=policy.version)
    ruling = policy.evaluate(
        Proposed(
            action=name,
            arguments=arguments,
            confidence=confidence,
            rows=len(rows_of(name, arguments)) if rows is None else rows,
            severity=severity,
        )
    )
    return Judgement(
        decision=ruling.verdict.value, reason=ruling.reason_code, policy_version=policy.version, rule=ruling.rule
    )


# ------------------------------------------------------------------------------------------------------- recorded runs


@dataclass(frozen=True, slots=True)
class PolicyDryRun:
    """Raises `StoreUnreachableError` where the tables do not answer."""

    stores: Stores
    candidate: PolicyEngine

    async def household(self, household_id: str, conversation_id: str | None = None, *, limit: int = LIMIT) -> DryRun:
        """All of the household's conversations, or one, each up to its ``limit`` newest commands."""
        total, looked_at = DryRun(), 0
        if conversation_id is not None:
            return await self._conversation(household_id, conversation_id, limit)
        async for conversation in self.stores.commands.conversations(household_id):
            if looked_at == CONVERSATIONS:
                return total + DryRun(is_complete=False)
            looked_at += 1
            total += await self._conversation(household_id, conversation, limit)
        return total

    async def _conversation(self, household_id: str, conversation_id: str, limit: int) -> DryRun:
        listed: list[tuple[str, str]] = []
        is_complete = True
        async for entry in self.stores.commands.conversation(household_id, conversation_id):
            if len(listed) == limit:
                is_complete = False
                break
            listed.append(entry)
        if not listed:
            return DryRun()
        stored = await self.stores.conversations.read(household_id, conversation_id)
        state = stored.value if stored is not None else None

        async def one(entry: tuple[str, str]) -> DryRun:
            return await self._command(household_id, ids.run_id(*entry), state)

        total = DryRun(is_complete=is_complete)
        for found in await each(listed, one, at_once=_AT_ONCE):
            total += found
        return total

    async def _command(self, household_id: str, run_id: str, state: Conversation | None) -> DryRun:
        stored = await self.stores.runs.read(run_id)
        if stored is None or stored.value.household_id != household_id:
            return DryRun(commands=1, undecided=1)
        run = stored.value
        stages, decisions = await together(self.stores.stages.of_run(run_id), self.stores.decisions.of_run(run_id))
        found: list[Comparison | Unknown] = []
        if (answer := _last(stages, run, "answer")) is not None:
            judge = _last(stages, run, "policy") or _last(stages, run, "decide")
            found.append(self._answer(run, answer, judge))
        found += await self._proposals(run, decisions, state)
        return DryRun(
            commands=1,
            undecided=0 if found else 1,
            comparisons=tuple(one for one in found if isinstance(one, Comparison)),
            unknown=tuple(one for one in found if isinstance(one, Unknown)),
        )

    def _answer(self, run: Run, stage: Stage, judge: Stage | None) -> Comparison:
        recorded = Judgement(
            decision=REVIEW if stage.status == StageStatus.NEEDS_REVIEW else GIVEN,
            reason=stage.outcome_code,
            policy_version=_version(judge) if judge is not None else run.policy_version,
            rule=_ANSWER_RULE,
        )
        candidate = Judgement(
            decision=REVIEW if stage.confidence < self.candidate.answer_threshold else GIVEN,
            reason=stage.outcome_code,
            policy_version=self.candidate.version,
            rule=_ANSWER_RULE,
        )
        return _comparison(run, ANSWER, recorded, candidate)

    # ------------------------------------------------------------------------------------------------------ proposals

    async def _proposals(
        self, run: Run, decisions: Sequence[Decision], state: Conversation | None
    ) -> list[Comparison | Unknown]:
        """The policy's own decisions; a person's are not the file's to change."""
        ours = [
            decision
            for decision in decisions
            if decision.actor.startswith(_POLICY) and decision.reason_code not in _BEFORE_ANY_RULE
        ]
        replies: Sequence[AgentReply] | None = None
        found: list[Comparison | Unknown] = []
        for decision in ours:
            if decision.outcome == DecisionOutcome.DEFERRED:
                one = await self._asked(run, decision)
            elif decision.outcome in _VERDICTS:
                if replies is None:
                    replies = await self._replies(run, state)
                one = await self._settled(run, decision, replies)
            else:
                continue
            found.append(one)
        return found

    async def _asked(self, run: Run, decision: Decision) -> Comparison | Unknown:
        """What became an approval: its row holds the exact action."""
        stored = await self.stores.approvals.read(run.household_id, decision.approval_id or "")
        action = stored_action(stored.value) if stored is not None else None
        if action is None:
            return _unknown(run, decision.action, "the approval's exact action is not what was asked for")
        return await self._again(run, decision, action, decision.confidence)

    async def _settled(self, run: Run, decision: Decision, replies: Sequence[AgentReply]) -> Comparison | Unknown:
        """What was applied or refused: the audit names it by a hash, the agent's reply holds it."""
        for reply in replies:
            for proposal in reply.proposals:
                name = name_of(proposal.action)
                if name != decision.action:
                    continue
                try:
                    action = Action(name, validated(name, proposal.arguments))
                except InvalidProposalError:
                    continue
                subject = action.hash if decision.outcome == DecisionOutcome.APPLIED else proposal.call_id
                if decision_id(decision, subject) == decision.decision_id:
                    return await self._again(run, decision, action, reply.answer.confidence)
        return _unknown(run, decision.action, "the agent's reply that proposed it is not kept any more")

    async def _again(self, run: Run, decision: Decision, action: Action, confidence: float) -> Comparison:
        recorded = Judgement(
            decision=_VERDICTS[decision.outcome].value,
            reason=decision.reason_code,
            policy_version=decision.policy_version,
        )
        severity = await self._severity(run.household_id, action)
        candidate = judge_proposal(
            self.candidate, action.name, action.arguments, confidence=confidence, severity=severity
        )
        return _comparison(run, action.name, recorded, candidate)

    async def _severity(self, household_id: str, action: Action) -> Severity | None:
        if action.name != "dismiss_signal":
            return None
        stored = await self.stores.signals.read(str(action.arguments.get("signalId")))
        return stored.value.severity if stored is not None and stored.value.household_id == household_id else None

    async def _replies(self, run: Run, state: Conversation | None) -> Sequence[AgentReply]:
        """The run's replies that landed, as far as the conversation's state still names them."""
        found = []
        for turn in state.turns if state is not None else ():
            for name in turn.replies if turn.run_id == run.run_id else ():
                try:
                    found.append(await sessions.get_reply(self.stores, run.household_id, name))
                except LaneError:
                    continue  # gone, or not what it was: whatever it proposed is unknown
        return found


def _last(stages: Sequence[Stage], run: Run, name: str) -> Stage | None:
    """The last stage of that name that came to an end, of the attempt that the run is in, or of the one before."""
    ended = (StageStatus.SUCCEEDED, StageStatus.NEEDS_REVIEW)
    of_name = [s for s in stages if s.name == name and s.attempt <= run.attempt and s.status in ended]
    return of_name[-1] if of_name else None


def _version(stage: Stage) -> str:
    return stage.executor.removeprefix(_POLICY)


def _comparison(run: Run, judged: str, recorded: Judgement, candidate: Judgement) -> Comparison:
    return Comparison(
        judged=judged,
        recorded=recorded,
        candidate=candidate,
        run_id=run.run_id,
        command_id=run.command_id,
        household_id=run.household_id,
        conversation_id=run.conversation_id or "",
    )


def _unknown(run: Run, judged: str, why: str) -> Unknown:
    return Unknown(run_id=run.run_id, command_id=run.command_id, judged=judged, why=why)
