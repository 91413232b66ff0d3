"""Which of the app's settings a bundle tells: by name, never by what they look like. A setting that is not named here
is not told, whatever it holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

TOLD: Final = frozenset(
    {
        *("IngestionQueue", "ConversationQueue", "SweepQueue", "TelemetryHub", "MOSAIC_COMMIT"),
        *("Retry__Seconds", "Lease__Seconds", "Lease__RenewSeconds", "Lane__DeadlineSeconds"),
        *("Lane__IngestionConcurrency", "Lane__ConversationConcurrency", "Lane__SweepConcurrency"),
        *(
            "Lane__HouseholdConcurrency",
            "Lane__PauseAlertAfter",
            "Quota__CommandsPerMinute",
            "Producers__Ingestion",
            "Drill__Enabled",
        ),
        *("Sweep__Schedule", "Sweep__HourUtc", "Sweep__LookbackDays", "Sweep__CatchUpNights", "Outbox__Schedule"),
        *("Reconcile__Schedule", "Reconcile__StuckAfter", "Retention__Schedule", "Retention__KeyDays"),
        *("Retention__CommandDays", "Retention__SignalDays", "Retention__ConversationDays", "Retention__BlobDays"),
        *("Approval__ExpiryHours", "Approval__RequireOtherPerson", "Review__CategoryConfidence"),
        *("Agent__Provider", "Agent__TimeoutSeconds", "Agent__RunSeconds", "Agent__MaxRounds", "Agent__MaxToolCalls"),
    }
)
_PLAIN: Final = re.compile(r"[A-Za-z0-9 .,_*/:-]{0,200}", re.ASCII)


def told(settings: Mapping[str, str]) -> dict[str, str]:
    """Those of `TOLD` that are set. A value that is none of a setting's usual shapes is not shown."""
    return {
        name: value if _PLAIN.fullmatch(value) else "(not shown)"
        for name, value in sorted(settings.items())
        if name in TOLD
    }
