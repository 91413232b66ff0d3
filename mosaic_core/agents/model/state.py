"""What a run that waits for a decision leaves behind, as one text:
``mosaic-agent/1.<sha-256>.<base64 of zlib of JSON>``.

The digest finds damage and states that were put together; it is no signature, since who can write the store can write
the digest. Nothing rests on it: the state holds only what the model is shown again. What an approval carries out is
bound by the approval's own hash, outside of here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final

from mosaic_core.agents.model.grounding import Evidence
from mosaic_core.domain.errors import LaneError
from mosaic_core.ports import AgentTurn

_HEADER: Final = "mosaic-agent/1"
_LARGEST: Final = 8 * 1024 * 1024
INVALID: Final = "agent_state_invalid"


class AgentStateError(LaneError):
    """The state is damaged, of another version, or of another run than the turn's."""

    code = INVALID


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """``messages`` are the conversation so far as the framework serialises it (without the system's own), ending in
    the calls that wait; ``pending`` are those calls' ids with their proposals' summaries; ``corrected``: the model has
    had its second chance."""

    messages: list[dict[str, Any]]
    pending: Mapping[str, str]
    evidence: Evidence
    spent: Mapping[str, int] = field(default_factory=dict)
    corrected: bool = False


def encode(waiting: Waiting, turn: AgentTurn) -> str:
    evidence = waiting.evidence
    payload = {
        "run": turn.run_id,
        "household": turn.household_id,
        "conversation": turn.conversation_id,
        "messages": waiting.messages,
        "pending": dict(waiting.pending),
        "corrected": waiting.corrected,
        "spent": dict(waiting.spent),
        "evidence": {
            "amounts": sorted(map(str, evidence.amounts)),
            "counts": sorted(map(str, evidence.counts)),
            "ratios": sorted(map(str, evidence.ratios)),
            "dates": sorted(day.isoformat() for day in evidence.dates),
            "names": sorted(evidence.names),
            "rows": sorted(evidence.rows),
            "years": list(evidence.years),
        },
    }
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    packed = base64.b64encode(zlib.compress(text.encode("utf-8", "surrogatepass"), 9)).decode("ascii")
    return f"{_HEADER}.{_digest(packed)}.{packed}"


def decode(state: str, turn: AgentTurn) -> Waiting:
    """Raises `AgentStateError`."""
    header, _, rest = state.partition(".")
    digest, _, packed = rest.partition(".")
    if header != _HEADER:
        raise AgentStateError("the agent's state is of another version")
    if digest != _digest(packed):
        raise AgentStateError("the agent's state is damaged")
    try:
        unpack = zlib.decompressobj()
        data = unpack.decompress(base64.b64decode(packed, validate=True), _LARGEST)
        if unpack.unconsumed_tail:
            raise AgentStateError("the agent's state is too large")
        payload = json.loads(data.decode("utf-8", "surrogatepass"))
        if (payload["run"], payload["household"], payload["conversation"]) != (
            turn.run_id,
            turn.household_id,
            turn.conversation_id,
        ):
            raise AgentStateError("the agent's state belongs to another run")
        evidence = payload["evidence"]
        return Waiting(
            messages=payload["messages"],
            pending={str(call): str(summary) for call, summary in payload["pending"].items()},
            corrected=bool(payload["corrected"]),
            spent={str(name): int(value) for name, value in payload["spent"].items()},
            evidence=Evidence(
                amounts={Decimal(value) for value in evidence["amounts"]},
                counts={Decimal(value) for value in evidence["counts"]},
                ratios={Decimal(value) for value in evidence["ratios"]},
                dates={date.fromisoformat(value) for value in evidence["dates"]},
                names=set(evidence["names"]),
                rows=set(evidence["rows"]),
                years=(evidence["years"][0], evidence["years"][1]),
            ),
        )
    except (KeyError, IndexError, TypeError, ValueError, ArithmeticError, AttributeError, zlib.error, binascii.Error):
        raise AgentStateError("the agent's state cannot be read") from None


def _digest(packed: str) -> str:
    return hashlib.sha256(f"{_HEADER}.{packed}".encode("utf-8", "surrogatepass")).hexdigest()
