"""What the lane was set up with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from mosaic_core.domain.policy_engine import PolicyEngine
from mosaic_core.ports import ConversationAgent


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    agent: ConversationAgent
    policy: PolicyEngine
    approval_expiry: timedelta
    require_other_person: bool
