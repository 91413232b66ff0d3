"""What a delivery may have come to. A state says what it holds, so that a step without it cannot be written.

    Received ▶ Admitted ▶ Reserved ▶ Owned ▶ Ended ▶ Staged ▶ Final ▶ Told ▶ settled
    (0)        (1)        (run)      (2)     (3)     (4)      (5)     (6)

K is the idempotency key, R the run, C the recorded command. Every state is frozen; what it knows goes on to the next.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Self

from mosaic_core.domain.envelope import Envelope
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.records import Key, Run
from mosaic_core.domain.settlement import ended_by_storage
from mosaic_core.lanes.context import LaneResult, StageLog
from mosaic_core.ports import ETag, IncomingMessage, Stored, StoredKey
from mosaic_core.services.company import Place
from mosaic_core.services.lease import Held
from mosaic_core.services.limits import TRIES_TO_EXCUSE
from mosaic_core.services.worker import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One delivery of ``message`` by ``worker``, under an owner token of its own. ``closing`` is what the command ends
    as where this only ends it: the reconciler's and an operator's word, and no lane runs."""

    worker: Worker
    lane: Lane
    message: IncomingMessage
    place: Place
    run_id: str
    token: str
    trace_parent: str
    closing: LaneResult | None = None

    def now(self) -> datetime:
        """By the later of two clocks, this worker's and the broker's when it let the message out: what is to wait must
        not be over before it began."""
        return max(self.worker.clock.now(), self.message.enqueued_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What C says beside the envelope: who asked, whether it came past the API, whether its own time was moved."""

    subject: str
    past_api: bool
    moved: bool


@dataclass(frozen=True, slots=True)
class LaneEnd:
    """What the lane of ``attempt`` came to."""

    attempt: int
    result: LaneResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a delivery knows by now, whatever it holds.

    ``envelope`` is the message's, and C's from ``admission`` on. ``unanswered``: requests without an answer.
    ``untold``: owner tokens of attempts that an outage ended, as far as K may still name them. ``run_was_there``: K was
    new, R was not. ``began``: the attempt whose lane has begun here, with its ``stages``, and ``ended`` what it came
    to. ``giving_up``: storage has been away for 24 hours.
    """

    of: Delivery
    envelope: Envelope
    stages: StageLog
    admission: Admission | None = None
    unanswered: int = 0
    untold: tuple[str, ...] = ()
    run_was_there: bool = False
    began: int = 0
    ended: LaneEnd | None = None
    giving_up: bool = False

    @classmethod
    def of_message(cls, of: Delivery, envelope: Envelope) -> Known:
        untold = ended_by_storage(of.message.properties)
        return cls(of=of, envelope=envelope, stages=StageLog(of.worker.clock.now), untold=untold)

    def ended_as(self, attempt: int, result: LaneResult) -> Known:
        return replace(self, ended=LaneEnd(attempt, result))

    def result_of(self, attempt: int) -> LaneResult | None:
        """What the lane has come to under this number."""
        return self.ended.result if self.ended is not None and self.ended.attempt == attempt else None


@dataclass(frozen=True, slots=True)
class State:
    """``owned``: K, as far as this delivery has it or may have it. ``in_doubt``: it may be mine although no answer has
    said so."""

    known: Known

    @property
    def owned(self) -> Held | None:
        return None

    @property
    def in_doubt(self) -> bool:
        return False

    @property
    def attempt(self) -> int:
        """K's, where it is owned; 0 otherwise."""
        return self.owned.key.attempt if self.owned is not None else 0


# ------------------------------------------------------------------------------------------------ K is not mine as yet


@dataclass(frozen=True, slots=True)
class Received(State):
    """0: a message that has been decoded."""


@dataclass(frozen=True, slots=True)
class Unrecorded(State):
    """0: there is no C."""


@dataclass(frozen=True, slots=True)
class Admitted(State):
    """1: C holds this very request. From here on K may be mine, whatever goes wrong."""

    @property
    def in_doubt(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class KeyThere(State):
    """1: K was there, or its insert had no answer (``doubt``). ``inserted`` is R, where its insert was answered."""

    inserted: Stored[Run] | None
    doubt: bool

    @property
    def in_doubt(self) -> bool:
        return self.doubt


@dataclass(frozen=True, slots=True)
class KeyRead(State):
    """K is another's, or nobody's: what becomes of this message?"""

    stored: StoredKey
    inserted: Stored[Run] | None = None


@dataclass(frozen=True, slots=True)
class Suspected(State):
    """K is free, and the attempt has to run alone in its process."""

    inserted: Stored[Run] | None


@dataclass(frozen=True, slots=True)
class Mismatched(State):
    """The id stands for another request. ``held``: K, where it took a foreign run's end before this was said."""

    held: Held | None = None

    @property
    def owned(self) -> Held | None:
        return self.held


# ------------------------------------------------------------------------------------------------------- K is mine


@dataclass(frozen=True, slots=True)
class Owner(State):
    """K is mine, or may be: `Held.sure`."""

    held: Held

    @property
    def owned(self) -> Held:
        return self.held

    @property
    def in_doubt(self) -> bool:
        return not self.held.sure

    @property
    def key(self) -> Key:
        return self.held.key


@dataclass(frozen=True, slots=True)
class Taking(Owner):
    """5 of the key exists: K as it is to be written over what was read. Owned before the answer: where none comes, what
    is there says whose it is."""


@dataclass(frozen=True, slots=True)
class Conflicted(Owner):
    """After a 409, a 412 or no answer: is K still mine?"""


@dataclass(frozen=True, slots=True)
class Reserved(Owner):
    """At the run. ``after_conflict``: because of a 409, a 412 or an answer that never came."""

    after_conflict: bool = False


@dataclass(frozen=True, slots=True)
class RunMissing(Owner):
    """At the run: there is none."""


@dataclass(frozen=True, slots=True)
class RunThere(Owner):
    """At the run: not final and not ahead of me, to be adopted."""

    run: Stored[Run]


@dataclass(frozen=True, slots=True)
class RunAhead(RunThere):
    """At the run: its attempt is higher than mine."""


@dataclass(frozen=True, slots=True)
class RunForeign(RunThere):
    """At the run: final, and of another request."""


# ------------------------------------------------------------------------------------------------- K and R are mine


@dataclass(frozen=True, slots=True)
class Owned(Owner):
    """2: K and R are mine, Running under my number."""

    run: Stored[Run]


@dataclass(frozen=True, slots=True)
class Ended(Owner):
    """3: the attempt has come to ``result``."""

    run: Stored[Run]
    result: LaneResult


@dataclass(frozen=True, slots=True)
class Staged(Owner):
    """4: its stages are written."""

    run: Stored[Run]
    result: LaneResult


@dataclass(frozen=True, slots=True)
class Final(Owner):
    """5: R says what the attempt came to. What is left can be derived from it."""

    run: Run


@dataclass(frozen=True, slots=True)
class Told(Owner):
    """6: its signals are written."""

    run: Run


# ------------------------------------------------------------------------------------------------------------ the ends


@dataclass(frozen=True, slots=True)
class Outage:
    """Storage is away."""

    tries: ClassVar[int] = TRIES_TO_EXCUSE


@dataclass(frozen=True, slots=True)
class Draining:
    """The process ends: whatever the answer, the message goes back."""

    tries: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class Busy:
    """Another command is at work on what the lane needs, for about ``wait`` seconds."""

    wait: float
    tries: ClassVar[int] = TRIES_TO_EXCUSE


type Cause = Outage | Draining | Busy


@dataclass(frozen=True, slots=True)
class _Loose(State):
    """``by``: K as it was held before. ``doubt``: it may be mine without that."""

    by: Held | None
    doubt: bool

    @classmethod
    def after(cls, before: State) -> Self:
        return cls(before.known, before.owned, before.in_doubt)

    @property
    def in_doubt(self) -> bool:
        return self.doubt


@dataclass(frozen=True, slots=True)
class StorageAway(_Loose):
    """Storage does not answer."""

    @property
    def owned(self) -> Held | None:
        return self.by


@dataclass(frozen=True, slots=True)
class GivingUp(StorageAway):
    """It has not for 24 hours."""


@dataclass(frozen=True, slots=True)
class LettingGo(_Loose):
    """K ▶ released and excused, and the message waits or goes back. Owned no more: whatever goes wrong, it is in doubt
    what K has been told."""

    why: Cause

    @property
    def in_doubt(self) -> bool:
        return self.by is not None or self.doubt


@dataclass(frozen=True, slots=True)
class Loose(_Loose):
    """K is read anew, whatever was held."""


def held(known: Known, key: Key, etag: ETag) -> tuple[Known, Held]:
    """K is mine, an answer has said so: what copies told of it is told."""
    return replace(known, untold=()), Held(key, etag)
