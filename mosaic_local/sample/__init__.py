"""The sample household of the embedded stack: invented, deterministic, with planted anomalies."""

from __future__ import annotations

from mosaic_local.sample.household import (
    ACCOUNTS,
    HOUSEHOLD_ID,
    SOURCE,
    Batch,
    Planted,
    SampleHousehold,
    sample_household,
)

__all__ = ["ACCOUNTS", "HOUSEHOLD_ID", "SOURCE", "Batch", "Planted", "SampleHousehold", "sample_household"]
