"""Every error of the product.

MosaicError                    code, and a rationale that carries ids and field names, never personal data
├── PoisonError                this message can never succeed: dead-letter it at once
│   ├── InvalidJsonError         invalid_json
│   └── InvalidEnvelopeError     invalid_envelope
├── TransientError             the same again may work
│   ├── StoreUnreachableError    tables or blobs did not answer: not an attempt
│   ├── BusyError                another command works on what this one needs: not an attempt
│   ├── QueueUnavailableError    the broker did not take a message
│   └── KeysUnavailableError     the issuer's keys could not be fetched (adapters/identity)
├── LaneError                  an attempt failed; the lane says with which code
│   └── AgentStateError          what a conversation waits with cannot be resumed (agents/model/state)
├── LeaseLostError             another delivery owns the command now
├── RequestError               what a caller of the API did wrong: code, details
├── ConfigurationError         settings are missing or contradict each other; all of them at once
├── StoreRefusedError          a bug: storage understood a request and refused it (4xx)
├── StoredRowError             a value that no row can hold, or a row that is none of this version's
├── IllegalTransitionError     a bug: a state change that the transition table does not know
├── InvalidProposalError       a proposal whose arguments are not those of its action (domain/policy/actions)
├── UnclearError               what a request is about could not be told (agents/offline/requests)
├── BudgetSpentError           a run with a model has used up what it may (agents/model/budget)
├── TurnEndedError             a turn with a model ends without an answer (agents/model/outcomes)
├── UnknownSubjectError        the ledger knows nothing by the name that a model asks for (agents/model/tools)
├── CutShortError              a streamed answer ended before it was whole (agents/model/chat_client)
├── IdentityError              the app's identity gave no token for the provider (agents/model/chat_client)
├── StoppedError               nobody waits for what is being computed (computing)
└── ReplayStoppedError         somebody else has the replay now (services/replay)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from mosaic_core.domain.reasons import DeadLetterReason


class MosaicError(Exception):
    """Base of all. ``code`` is stable and machine-readable; ``rationale`` is for a person, at most 500 characters."""

    code = "mosaic_error"

    def __init__(self, rationale: str, *, code: str | None = None) -> None:
        super().__init__(rationale)
        self.rationale = rationale[:500]
        if code is not None:
            self.code = code


class PoisonError(MosaicError):
    """The message can never be executed; no retry helps."""


class InvalidJsonError(PoisonError):
    code = DeadLetterReason.INVALID_JSON.value


class InvalidEnvelopeError(PoisonError):
    code = DeadLetterReason.INVALID_ENVELOPE.value


class TransientError(MosaicError):
    """A passing fault of something that the product builds on."""


class StoreUnreachableError(TransientError):
    """A storage request had no usable answer (connection, timeout, 5xx, 429). A write may or may not have landed."""

    code = DeadLetterReason.STORE_UNREACHABLE.value

    def __init__(self, rationale: str, *, reason: str = "unreachable") -> None:
        """``reason``, for health: unreachable, no_answer, no_token, forbidden (a role is missing), not_found."""
        super().__init__(rationale)
        self.reason = reason


class BusyError(TransientError):
    """Another command is at work on what this one needs (its conversation). Not an attempt: look again after ``wait``
    seconds."""

    code = "in_progress"

    def __init__(self, rationale: str, *, wait: float) -> None:
        super().__init__(rationale)
        self.wait = wait


class QueueUnavailableError(TransientError):
    """The broker did not acknowledge a send or a settlement. A send may or may not have landed."""

    code = "queue_unavailable"


class LaneError(MosaicError):
    """One attempt of a lane failed. Raised with the failure code that the run is to carry."""

    code = "lane_failed"


class LeaseLostError(MosaicError):
    """This delivery no longer owns its command: it must write nothing more."""

    code = "lease_lost"


class StoreRefusedError(MosaicError):
    """Storage understood the request and refused it; the same again would be refused again. Nothing was written."""

    code = "store_refused"


class StoredRowError(MosaicError):
    """A value that no row can hold, or a stored row that this version cannot read. Names the property."""

    code = "stored_row_invalid"


class IllegalTransitionError(MosaicError):
    code = "illegal_transition"


class Fault(str):
    """One thing that keeps the app from its work, as one line: what it is, what is wrong, what to do. Never a setting's
    value. ``name`` is the setting, file, package or part; ``reason`` is a stable code that health tells."""

    __slots__ = ("name", "reason")

    name: str
    reason: str

    def __new__(cls, name: str, wrong: str, remedy: str = "", *, reason: str = "setting_invalid") -> Self:
        fault = super().__new__(cls, f"{name} {wrong}: {remedy}" if remedy else f"{name} {wrong}")
        fault.name, fault.reason = name, reason
        return fault


class ConfigurationError(MosaicError):
    """``faults`` names each setting and what to do about it, in lines for a person."""

    code = "configuration_invalid"

    def __init__(self, faults: Sequence[str], *, about: str = "settings") -> None:
        """A fault that is a plain text is one of what ``about`` names."""
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)
        self._about = about

    @property
    def problems(self) -> tuple[Fault, ...]:
        """The faults with their names and reasons."""
        return tuple(
            it if isinstance(it, Fault) else Fault(self._about, it, reason="file_invalid") for it in self.faults
        )

    def __str__(self) -> str:
        return "the settings cannot be used:\n" + "\n".join(f"  - {fault}" for fault in self.faults)


@dataclass(frozen=True, slots=True)
class Detail:
    """One field of a request and what is wrong with it. Never the value."""

    field: str
    issue: str


class RequestError(MosaicError):
    """A request that is refused. ``code`` is one of the contract's section 3, which says the status that it has over
    HTTP; ``retry_after`` are the seconds after which the same request may be let through."""

    def __init__(
        self, code: str, message: str, details: Sequence[Detail] = (), *, retry_after: int | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.details = tuple(details)
        self.retry_after = retry_after


def invalid_request(*details: Detail) -> RequestError:
    """Each of the details names a field."""
    return RequestError("validation_failed", "the request is not valid", details)
