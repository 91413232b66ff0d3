"""An agent's replies and waiting proposals as blobs: immutable, of one household, checked when read.

Those of a turn are named by the turn and their number in it, and written once: the first to land is the turn's reply
(or its batch of proposals), whoever asked, and whoever comes later goes on from it. The row of the conversation keeps
its newest exchanges only; these stay. Blobs of earlier versions are named by their content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from mosaic_core.domain.errors import LaneError
from mosaic_core.domain.transactions import Answer
from mosaic_core.ports import AgentReply, Proposal, Stores


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A proposal that waits for a person, as it was judged when it was asked for."""

    action_json: str
    impact: str
    reason_code: str
    rationale: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingProposals:
    """Proposals of one reply, some of which wait: ``state`` is the agent's session (empty where it has none), which
    began in run ``run_id``; ``results`` is what it will be told of those that are settled, ``waiting`` the approvals of
    the others, both by call id, and ``asked`` what those are about. Nothing resumes before every one is decided."""

    state: str
    run_id: str
    question: str
    requested_by: str
    results: Mapping[str, str]
    waiting: Mapping[str, str]
    asked: Mapping[str, Asked] = field(default_factory=dict)
    requested_by_subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The command whose run a turn's first reply landed in: what the turn asks for is asked for by that run."""

    run_id: str
    command_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Landed:
    """A reply of a turn."""

    reply: AgentReply
    origin: Origin


# ----------------------------------------------------------------------------------------------------------- by turn


def turn_blob(household_id: str, turn_id: str, part: str) -> str:
    return f"agent/{household_id}/turn/{turn_id}/{part}"


def is_of_turn(name: str) -> bool:
    """Whether a batch's name is a turn's, not its content's as earlier versions named it."""
    return "/turn/" in name


async def land_reply(stores: Stores, household_id: str, turn_id: str, number: int, mine: Landed) -> Landed:
    """The turn's reply of that number: ``mine``, or the one that was there first."""
    name = turn_blob(household_id, turn_id, f"reply-{number}")
    origin = {**asdict(mine.origin), "created_at": mine.origin.created_at.isoformat()}
    value = {"reply": asdict(mine.reply), "origin": origin}
    return _landed(await _land(stores, household_id, name, value))


async def landed_reply(stores: Stores, household_id: str, turn_id: str, number: int) -> Landed | None:
    """Raises LaneError where it is not what was written."""
    value = await _read(stores, household_id, turn_blob(household_id, turn_id, f"reply-{number}"))
    return _landed(value) if value is not None else None


async def land_batch(
    stores: Stores, household_id: str, turn_id: str, number: int, mine: PendingProposals
) -> tuple[str, PendingProposals]:
    """The name and the batch of the turn's reply of that number: ``mine``, or the one that was there first."""
    name = turn_blob(household_id, turn_id, f"batch-{number}")
    return name, _batch(await _land(stores, household_id, name, asdict(mine)))


async def landed_batch(
    stores: Stores, household_id: str, turn_id: str, number: int
) -> tuple[str, PendingProposals] | None:
    name = turn_blob(household_id, turn_id, f"batch-{number}")
    value = await _read(stores, household_id, name)
    return (name, _batch(value)) if value is not None else None


async def get_batch(stores: Stores, household_id: str, name: str) -> PendingProposals:
    """By the name that an approval has. Raises LaneError where it is gone or changed."""
    return _batch(_there(await _read(stores, household_id, name)))


async def get_reply(stores: Stores, household_id: str, name: str) -> AgentReply:
    """By the name that a conversation's row has. Raises LaneError where it is gone or changed."""
    value = _there(await _read(stores, household_id, name))
    return _reply(value.get("reply", value))


# ------------------------------------------------------------------------------------------------------------- values


def _reply(data: Mapping[str, Any]) -> AgentReply:
    answer = {
        **data["answer"],
        "transaction_ids": tuple(data["answer"]["transaction_ids"]),
        "details": tuple((k, v) for k, v in data["answer"]["details"]),
    }
    return AgentReply(
        answer=Answer(**answer),
        proposals=tuple(Proposal(**proposal) for proposal in data["proposals"]),
        state=data["state"],
        usage=data["usage"],
    )


def _landed(value: Mapping[str, Any]) -> Landed:
    origin = value["origin"]
    return Landed(
        _reply(value["reply"]),
        Origin(**{**origin, "created_at": datetime.fromisoformat(origin["created_at"])}),
    )


def _batch(value: Mapping[str, Any]) -> PendingProposals:
    asked = {call_id: Asked(**it) for call_id, it in value.get("asked", {}).items()}
    return PendingProposals(**{**value, "asked": asked})


# -------------------------------------------------------------------------------------------------------------- blobs


async def _land(stores: Stores, household_id: str, name: str, value: Mapping[str, Any]) -> Any:
    """Write once, then go on from what is there."""
    # escaped throughout: a model's text may hold what is no UTF-8
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)
    digest = hashlib.sha256(text.encode("ascii")).hexdigest()
    await stores.blobs.put(name, json.dumps({"sha256": digest, "value": text}).encode("ascii"))
    return _there(await _read(stores, household_id, name))


async def _read(stores: Stores, household_id: str, name: str) -> Any:
    """None where there is no such blob."""
    if not name.startswith(f"agent/{household_id}/"):
        raise LaneError("the agent's session belongs to another household", code="agent_session_foreign")
    data = await stores.blobs.get(name)
    if data is None:
        return None
    if name.startswith(f"agent/{household_id}/turn/"):
        try:
            kept = json.loads(data)
            text, digest = str(kept["value"]).encode("ascii"), kept["sha256"]
        except (ValueError, TypeError, KeyError):
            raise _changed() from None
    else:
        text, digest = data, name.rpartition("/")[2]
    if hashlib.sha256(text).hexdigest() != digest:
        raise _changed()
    return json.loads(text)


def _there(value: Any) -> Any:
    if value is None:
        raise LaneError("the agent's session is gone", code="agent_session_missing")
    return value


def _changed() -> LaneError:
    return LaneError("the agent's session is not what it was", code="agent_session_changed")


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(type(value).__name__)
