"""evidence.json: what the records come to. Pure, so that a bundle can be checked by making it again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from mosaic_ops.evidence.claims import DRILLS, Record, claims_of

SCHEMA_VERSION: Final = 1
NOT_A_DEPLOYMENT: Final = "NOT A DEPLOYMENT"
STAMP: Final = "NOT-A-DEPLOYMENT"
"""In the name of the bundle and of its folder."""

EMBEDDED: Final = "embedded"
AZURE: Final = "azure"

FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "raw/drills.jsonl": ("drill", "scan"),
    "raw/rows.jsonl": ("row",),
    "raw/events.jsonl": ("event",),
    "raw/spans.jsonl": ("span",),
    "raw/messages.jsonl": ("message", "peek"),
    "raw/answers.jsonl": ("answer",),
    "raw/versions.jsonl": ("build", "made"),
}
"""Which records are in which file."""


_MADE: Final[Mapping[str, type]] = {
    **dict.fromkeys(("target", "environment", "subject", "householdId", "startedAtUtc", "endedAtUtc"), str),
    "settings": dict,
    "tools": dict,
    "leftBehind": list,
}


def document(records: Iterable[Record]) -> dict[str, Any]:
    """Raises ValueError where there is not exactly one record ``made``, of its shape."""
    kept = list(records)
    made = [record for record in kept if record.get("kind") == "made"]
    if len(made) != 1:
        raise ValueError(f"{len(made)} records say how the bundle was made")
    head = made[0]
    if not all(isinstance(head.get(name), kind) for name, kind in _MADE.items()):
        raise ValueError("the record that says how the bundle was made is none")
    claims = claims_of(kept)
    build = next((record for record in kept if record.get("kind") == "build"), {})
    is_deployment = head.get("target") == AZURE
    return {
        "schemaVersion": SCHEMA_VERSION,
        "stamp": None if is_deployment else NOT_A_DEPLOYMENT,
        "passed": all(claim.holds for claim in claims),
        "notProven": [claim.proof for claim in claims if not claim.holds],
        "environment": head.get("environment"),
        "target": head.get("target"),
        "version": build.get("version"),
        "commit": build.get("commit"),
        "packageDigest": build.get("packageDigest"),
        "subject": head.get("subject"),
        "householdId": head.get("householdId"),
        "startedAtUtc": head.get("startedAtUtc"),
        "endedAtUtc": head.get("endedAtUtc"),
        "clockSkewSeconds": _skew(kept),
        "settings": head.get("settings"),
        "tools": head.get("tools"),
        "leftBehind": head.get("leftBehind"),
        "checklist": [
            {"drill": drill, "says": says, "holds": all(c.holds for c in claims if c.drill == drill)}
            for drill, says in DRILLS.items()
        ],
        "claims": [claim.json() for claim in claims],
    }


_MOST_SKEW: Final = 1e9


def _skew(records: Sequence[Record]) -> float | None:
    """The API's clock less this machine's, in seconds: the middle of what its answers said."""
    said = sorted(
        float(skew)
        for record in records
        if record.get("kind") == "answer"
        and isinstance(skew := record.get("clockSkewSeconds"), int | float)
        and abs(skew) < _MOST_SKEW
    )
    return said[len(said) // 2] if said else None
