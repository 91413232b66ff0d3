"""Which verbs ``./mosaic ops`` has, by name: known before any of them is imported."""

from __future__ import annotations

from typing import Final

ANYWHERE: Final = ("--target", "--state", "--url", "--token-command", "--service-bus")
COMPLETE: Final = "_MOSAIC_OPS_COMPLETE"
VERBS: Final = {
    "deadletters": ("dlq",),
    "events": ("events",),
    "evidence": ("evidence",),
    "glance": ("status", "resources", "wait"),
    "households": ("erase", "export"),
    "members": ("members",),
    "replays": ("replay",),
    "runs": ("runs", "run", "next", "trace"),
    "send": ("send",),
    "signals": ("signals", "resolve", "approvals"),
    "steering": ("lane", "cancel"),
    "told": ("logs", "telemetry"),
}
"""Which module registers which verbs: the verb that is typed imports its own, and waits for no other's."""
