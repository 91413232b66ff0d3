"""Faults of storage on purpose, for tests: seeded, and none unless somebody asks for them.

`azurite_testing.cjs` makes them happen, inside Azurite: signatures, ports and connection strings stay as they are.
"""

from __future__ import annotations

import enum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class StorageFault(enum.StrEnum):
    """What can go wrong with a request. The first five happen before anything is done."""

    BUSY = "busy"
    """503 ServerBusy, as a partition that is moved or overloaded answers."""
    THROTTLED = "throttled"
    """429 TooManyRequests."""
    TIMED_OUT = "timed_out"
    """500 OperationTimedOut."""
    CUT = "cut"
    """The connection is reset."""
    SILENT = "silent"
    """The connection stays open, and no answer ever comes."""
    UNANSWERED = "unanswered"
    """It is done, and the connection is reset before the answer: who repeats it meets its own doing."""
    HALF_ANSWERED = "half_answered"
    """It is done, and the connection ends in the middle of the answer."""
    SLOW = "slow"
    """It waits ``milliseconds`` first. Beside another fault: both."""


class StorageRule(BaseModel):
    """A fault, of the requests that all which is set fits; ``times`` None: for good.

    ``entity`` is a table or a container. ``path`` is a pattern (``*`` any text, ``?`` any sign, in any case) of what
    follows the account in the address, without quotation by percent: ``receipts/2026/*``, ``runs(PartitionKey='h'*``.
    A transaction of tables ($batch) is met where one of its operations is. ``retry_after_seconds``: with a refusal."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fault: StorageFault
    service: Literal["blob", "table"] | None = None
    method: Literal["GET", "HEAD", "PUT", "POST", "MERGE", "PATCH", "DELETE"] | None = None
    entity: str | None = None
    path: str | None = None
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    times: Annotated[int, Field(ge=1)] | None = None
    milliseconds: Annotated[int, Field(ge=0, le=60_000)] = 0
    retry_after_seconds: Annotated[int, Field(ge=0)] | None = None


class StoragePlan(BaseModel):
    """The faults from now on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: list[StorageRule] = []
    seed: int = 0
