"""What the lane was set up with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from mosaic_core.domain.policy.rules import PolicyEngine
from mosaic_core.lanes.conversation.turnstile import Turnstile
from mosaic_core.ports import ConversationAgent


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """``turnstile`` is shared by all attempts of the process."""

    agent: ConversationAgent
    policy: PolicyEngine
    approval_expiry: timedelta
    require_other_person: bool
    turnstile: Turnstile = field(default_factory=Turnstile)
