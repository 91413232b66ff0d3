"""The conversation lane: questions on the ledger, requests for actions, and people's decisions on those.

A message goes to the agent as data. It answers, says that it did not read it, or proposes actions, and the policy
judges those: annotations of the household's own rows may be applied, everything else waits for a person, and what a
person approves beyond that becomes a draft. The system itself sends nothing and moves no money.

`messages` is the flow of a message, `decisions` that of a decision (and of time), `endings` what an approval's end
leads to, `exchange` what an agent said and how it lands in the conversation's state, `proposals` what becomes of what
it proposes, `effects` what the app does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from mosaic_core.config.table import APPROVAL_EXPIRY_HOURS
from mosaic_core.domain.envelope import AgentApprovalDue, AgentApprovalSubmitted, AgentMessagePosted
from mosaic_core.domain.errors import LaneError
from mosaic_core.domain.policy.rules import PolicyEngine, default_policy
from mosaic_core.lanes.context import LaneContext, LaneResult
from mosaic_core.lanes.conversation.audit import POLICY
from mosaic_core.lanes.conversation.decisions import Decisions, DueApprovals
from mosaic_core.lanes.conversation.lane_setup import Rules
from mosaic_core.lanes.conversation.messages import Messages
from mosaic_core.lanes.conversation.turnstile import Turnstile
from mosaic_core.ports import ConversationAgent

__all__ = ["POLICY", "ConversationLane"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationLane:
    """``approval_expiry`` is how long an approval may be decided; ``require_other_person``: whoever asked for an action
    cannot approve it."""

    agent: ConversationAgent
    approval_expiry: timedelta = timedelta(hours=APPROVAL_EXPIRY_HOURS.default)
    require_other_person: bool = False
    policy: PolicyEngine = field(default_factory=default_policy)
    turnstile: Turnstile = field(default_factory=Turnstile, repr=False, compare=False)

    async def __call__(self, context: LaneContext) -> LaneResult:
        rules = Rules(
            agent=self.agent,
            policy=self.policy,
            approval_expiry=self.approval_expiry,
            require_other_person=self.require_other_person,
            turnstile=self.turnstile,
        )
        match context.envelope.payload:
            case AgentMessagePosted() as message:
                return await Messages(rules, context, message).execute()
            case AgentApprovalSubmitted() as decision:
                return await Decisions(rules, context, decision).execute()
            case AgentApprovalDue() as due:
                return await DueApprovals(rules, context, due).execute()
        raise LaneError("the conversation lane was given another command", code="unsupported_command_type")
