"""What an approval is bound to, and what comes of one: pure.

An approval names household, conversation, run and the hash of the exact action (canonical JSON of its name and
arguments). The action is hashed again before anything is done: one that was changed meanwhile is not the one that a
person approved.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from mosaic_core.domain import ids
from mosaic_core.domain.lifecycle import ApprovalStatus
from mosaic_core.domain.policy.actions import EXECUTABLE, REQUEST, canonical
from mosaic_core.domain.policy.impact import SUMMARY, ImpactClass
from mosaic_core.domain.records import Approval

APPLIED: Final = "applied"
"""What carrying out came to where every row took it; otherwise ``partly applied: …`` or ``not applied: …``."""

CLOCK_SLACK: Final = timedelta(minutes=10)
"""Nothing counts as expired earlier after its time: whoever stamped the expiry and whoever judges it may have clocks
that are five minutes off, each its own way."""

_SUMMARY_VALUE: Final = 80
_RECIPIENT: Final = 200


@dataclass(frozen=True, slots=True)
class Action:
    """An exact action: ``json`` is its canonical text, ``hash`` the SHA-256 (hex) of that."""

    name: str
    arguments: Mapping[str, Any]

    @property
    def json(self) -> str:
        return canonical(self.name, self.arguments)

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.json.encode("utf-8", "surrogatepass")).hexdigest()


def action_of(text: str) -> Action:
    """The action of a canonical text. Raises ValueError, TypeError or KeyError where it is none."""
    data = json.loads(text)
    return Action(str(data["action"]), dict(data["arguments"]))


def stored_action(approval: Approval) -> Action | None:
    """The approval's action where it is still the one that was asked for; None where it was changed, moved to another
    run, or is not there."""
    try:
        action = action_of(approval.action_json or "")
    except (ValueError, TypeError, KeyError):
        return None
    same = action.json == approval.action_json and action.hash == approval.action_hash
    turn = approval.turn_id or approval.run_id
    return action if same and approval.approval_id == ids.approval_id(turn, approval.action_hash) else None


def is_over(approval: Approval, at: datetime) -> bool:
    """Whether the time to decide was over at that moment, whatever clock it was read from."""
    return at >= due_at(approval)


def due_at(approval: Approval) -> datetime:
    """When nobody can decide it any more, and what is left undone of it is time's to do."""
    return approval.expires_at + CLOCK_SLACK


def expires_soon_at(approval: Approval) -> datetime:
    """A quarter of its life before it expires."""
    return approval.expires_at - max(approval.expires_at - approval.created_at, timedelta()) / 4


def summary(action: Action, impact: ImpactClass) -> str:
    """What a person is asked to approve, made from the validated arguments alone: a model's own words about its
    proposal are not shown, and of a member's own request what it names. At most 200 characters."""
    if action.name == REQUEST:
        return f"Asked in the conversation: {SUMMARY[impact]}"
    said = ", ".join(f"{key}: {_shown(value)}" for key, value in sorted(action.arguments.items()))
    return f"{action.name} ({impact}): {said}"[:200]


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value if len(value) <= _SUMMARY_VALUE else f"{value[:_SUMMARY_VALUE]}…"
    if isinstance(value, Sequence):
        return f"{len(value)} items"
    return json.dumps(value, ensure_ascii=False)[:_SUMMARY_VALUE]


def is_executable(action: Action) -> bool:
    """Whether the app itself carries it out once it is approved. All else becomes a draft."""
    return action.name in EXECUTABLE


def draft(action: Action, kind: str) -> dict[str, Any]:
    """What an approval of an action beyond the app's reach produces: a draft that a person sends, or does, by hand."""
    arguments = action.arguments
    is_message = action.name == "draft_message"
    recipient = next((str(arguments[k]) for k in ("recipient", "to", "payee", "account") if k in arguments), None)
    if is_message:
        body = str(arguments["body"])
    elif action.name == REQUEST:
        body = "\n\n".join(str(arguments[key]) for key in ("message", "note") if key in arguments)
    else:
        body = "\n".join([action.name, *(f"{key}: {_whole(arguments[key])}" for key in sorted(arguments))])
    what = "Nothing was sent: send this message" if is_message else "Nothing was done: carry this out"
    return {
        "kind": kind,
        "recipient": recipient[:_RECIPIENT] if recipient else recipient,  # the body has all of it
        "channel": arguments.get("channel", "email") if is_message else None,
        "subject": arguments.get("subject") if is_message else None,
        "body": body,
        "instruction": f"Approved. {what} yourself if you still want to.",
    }


def _whole(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def told(approval: Approval) -> str:
    """What the agent is told of a decided (or expired) approval."""
    match approval.status:
        case ApprovalStatus.APPROVED if approval.draft is not None:
            return "approved: a draft was made for a person to act on; nothing was sent and no money was moved"
        case ApprovalStatus.APPROVED if approval.carried_out_at is None:
            return "approved, not applied: the stored action is not the one that was asked for"
        case ApprovalStatus.APPROVED if approval.carried_out_as not in (None, APPLIED):
            return f"approved, {approval.carried_out_as}"
        case ApprovalStatus.APPROVED:
            return "approved and applied"
        case ApprovalStatus.REJECTED:
            return "rejected by a person: it was not done, do not propose it again"
        case _:
            return "not decided in time: it was not done"
