"""Faults on purpose, for tests of what is built on the broker: seeded, and none unless somebody asks for them."""

from __future__ import annotations

import enum
import random
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

BUSY = "The request was throttled: the namespace is busy, wait ten seconds and try again."


class Fault(enum.StrEnum):
    """What can go wrong. A cut connection ends without a word, as a network does it."""

    SEND_UNANSWERED = "send_unanswered"
    """What is sent is taken, and the connection is cut before the answer: the client sends it again."""
    DUPLICATE = "duplicate"
    """What is sent is there twice: messages under one message id, a batch of events after itself."""
    CUT = "cut"
    """The connection is cut when a message is on its way to a receiver, whose lock stands, or events to a consumer."""
    HALF_CLOSED = "half_closed"
    """Then the broker ends its own half of it alone: it sends nothing more, and what comes in still counts."""
    SILENT = "silent"
    """Then the connection stays open, and nothing comes or goes on it any more."""
    SETTLEMENT_LOST = "settlement_lost"
    """A queue's: a settlement does not arrive, and the connection is cut."""
    SETTLEMENT_UNANSWERED = "settlement_unanswered"
    """A queue's: a settlement counts, and the connection is cut before the answer."""
    BUSY = "busy"
    """A send, or an operation of management, is refused as of a throttled namespace: server-busy, 503."""
    LOCK_LOST = "lock_lost"
    """A queue's: the lock runs out just before it is used to settle."""
    SLOW = "slow"
    """Everything that a connection sends waits ``milliseconds``."""


class Rule(BaseModel):
    """A fault, at one queue or event hub or (``entity`` None) at all; ``times`` None: for good. ``SLOW`` knows none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fault: Fault
    entity: str | None = None
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    times: Annotated[int, Field(ge=1)] | None = None
    milliseconds: Annotated[int, Field(ge=0, le=60_000)] = 0


class Plan(BaseModel):
    """The faults from now on. One seed and one order of events give one order of faults."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: list[Rule] = []
    seed: int = 0


class Faults:
    """The plan of one namespace, and what is left of it."""

    def __init__(self) -> None:
        self.follow(Plan())

    def follow(self, plan: Plan) -> None:
        """Takes the place of the former plan."""
        self._rules = plan.rules
        self._left = [rule.times for rule in plan.rules]
        self._random = random.Random(plan.seed)  # noqa: S311 - a plan, not a secret
        self._delay = max((rule.milliseconds for rule in plan.rules if rule.fault is Fault.SLOW), default=0) / 1000
        self.struck: dict[str, int] = {}

    def strikes(self, fault: Fault, entity: str) -> bool:
        """Whether it happens here and now; a fault of limited ``times`` is used up by that."""
        for index, rule in enumerate(self._rules):
            if rule.fault is not fault or (rule.entity or entity).lower() != entity or self._left[index] == 0:
                continue
            if self._random.random() >= rule.probability:
                continue
            left = self._left[index]
            if left is not None:
                self._left[index] = left - 1
            self.struck[fault] = self.struck.get(fault, 0) + 1
            return True
        return False

    def delay(self) -> float:
        """Seconds that what is sent has to wait."""
        return self._delay
