"""An agent's replies and waiting proposals as blobs: immutable, named by household and content, checked when read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from mosaic_core.domain.errors import LaneError
from mosaic_core.domain.ledger import Answer
from mosaic_core.ports import AgentReply, Proposal, Stores


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Proposals of one reply, some of which wait: ``state`` is the agent's session, which began in run ``run_id``;
    ``results`` is what it will be told of those that are settled, ``waiting`` the approvals of the others, both by call
    id. Nothing resumes before every one of them is decided."""

    state: str
    run_id: str
    question: str
    requested_by: str
    results: Mapping[str, str]
    waiting: Mapping[str, str]


async def put_reply(stores: Stores, household_id: str, reply: AgentReply) -> str:
    return await _put(stores, household_id, asdict(reply))


async def get_reply(stores: Stores, household_id: str, name: str) -> AgentReply:
    """Raises LaneError where it is gone or changed."""
    data = await _get(stores, household_id, name)
    answer = data["answer"]
    answer["transaction_ids"] = tuple(answer["transaction_ids"])
    answer["details"] = tuple((k, v) for k, v in answer["details"])
    return AgentReply(
        answer=Answer(**answer),
        proposals=tuple(Proposal(**proposal) for proposal in data["proposals"]),
        state=data["state"],
        usage=data["usage"],
    )


async def put_batch(stores: Stores, household_id: str, batch: Batch) -> str:
    return await _put(stores, household_id, asdict(batch))


async def get_batch(stores: Stores, household_id: str, name: str) -> Batch:
    """Raises LaneError where it is gone or changed."""
    return Batch(**await _get(stores, household_id, name))


async def _put(stores: Stores, household_id: str, value: Mapping[str, Any]) -> str:
    # escaped throughout: a model's text may hold what is no UTF-8
    data = json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain).encode("ascii")
    name = f"agent/{household_id}/{hashlib.sha256(data).hexdigest()}"
    await stores.blobs.put(name, data)
    return name


async def _get(stores: Stores, household_id: str, name: str) -> Any:
    prefix, _, digest = name.rpartition("/")
    if prefix != f"agent/{household_id}":
        raise LaneError("the agent's session belongs to another household", code="agent_session_foreign")
    data = await stores.blobs.get(name)
    if data is None:
        raise LaneError("the agent's session is gone", code="agent_session_missing")
    if hashlib.sha256(data).hexdigest() != digest:
        raise LaneError("the agent's session is not what it was", code="agent_session_changed")
    return json.loads(data)


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(type(value).__name__)
