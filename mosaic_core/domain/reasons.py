"""Why a message is in the dead-letter queue: every reason that the runtime gives, and the two of the broker's own. One
that is none of these was given by a person."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class DeadLetterReason(StrEnum):
    PROCESSING_FAILED = "processing_failed"
    IDEMPOTENCY_REJECTED = "idempotency_rejected"
    IDEMPOTENCY_HASH_MISMATCH = "idempotency_hash_mismatch"
    NOT_RECORDED = "not_recorded"
    INVALID_JSON = "invalid_json"
    INVALID_ENVELOPE = "invalid_envelope"
    STORE_UNREACHABLE = "store_unreachable"
    """Of a delivery that could not tell what became of its command."""

    MAX_DELIVERY_COUNT_EXCEEDED = "MaxDeliveryCountExceeded"
    TTL_EXPIRED = "TTLExpiredException"


OWN_REASONS: Final = frozenset(
    {
        DeadLetterReason.PROCESSING_FAILED,
        DeadLetterReason.IDEMPOTENCY_REJECTED,
        DeadLetterReason.IDEMPOTENCY_HASH_MISMATCH,
        DeadLetterReason.NOT_RECORDED,
        DeadLetterReason.INVALID_JSON,
        DeadLetterReason.INVALID_ENVELOPE,
    }
)
"""A dead letter with one of these is the end of its command, or was none of a command's. Every other was moved by the
broker, by a person, or by a delivery that could not tell."""
