"""The decoder against bodies that nobody sent on purpose: poison by name or a command that can be carried on with.

Nothing else may come out, whatever the bytes are: an error that is not poison is delivered ten times, and nobody is
told.
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from mosaic_core.adapters import record_rows
from mosaic_core.adapters.tables import keys, writes
from mosaic_core.domain import ids
from mosaic_core.domain.envelope import Envelope, IngestionCompleted, NightlyAnomalySweep, decode, encode
from mosaic_core.domain.errors import InvalidEnvelopeError, InvalidJsonError, PoisonError
from mosaic_core.domain.lanes import CommandType, Lane, lane_of
from mosaic_core.domain.records import Command
from mosaic_core.domain.transactions import Transaction
from tests.support import bodies, records

NOW: Final = datetime(2026, 11, 24, tzinfo=UTC)
QUEUE: Final = "runtime-ingestion-completed"
EVERYDAY: Final = 5_000
ALL: Final = 100_000


def attempt(body: bytes, lane: Lane) -> Envelope | None:
    """The command, or None for poison that is told as it should be."""
    try:
        return decode(body, lane)
    except PoisonError as error:
        poison = error
    assert type(poison) in (InvalidJsonError, InvalidEnvelopeError)
    assert poison.code in ("invalid_json", "invalid_envelope")
    assert 0 < len(poison.rationale) <= 500
    # the net is for what nobody has thought of: what it catches here is to be mended
    assert "cannot be read" not in poison.rationale, poison.rationale
    return None


def check(body: bytes) -> int:
    """On how many lanes it decodes."""
    found = [envelope for lane in Lane if (envelope := attempt(body, lane)) is not None]
    assert len({envelope.request_hash for envelope in found}) <= 1, "the hash depends on the lane"
    for envelope in found:
        stored(envelope, body)
        if envelope.supported:
            encoded_again(envelope)
            calculated_with(envelope)
    return len(found)


def stored(envelope: Envelope, body: bytes) -> None:
    """What a delivery writes of it can be written, and is read back as it was."""
    command = Command(
        command_id=envelope.command_id,
        household_id=envelope.household_id,
        queue=QUEUE,
        command_type=envelope.command_type,
        request_hash=envelope.request_hash,
        envelope=body.decode(),
        recorded_at=envelope.created_at,
    )
    row = record_rows.COMMAND.encode(command)
    assert record_rows.COMMAND.decode(row) == command
    run = replace(
        records.RUN,
        run_id=ids.run_id(QUEUE, envelope.command_id),
        household_id=envelope.household_id,
        conversation_id=envelope.conversation_id,
        command_id=envelope.command_id,
        command_type=envelope.command_type,
        correlation_id=envelope.correlation_id,
        request_hash=envelope.request_hash,
        replay_of_command_id=envelope.replay_of_command_id,
        created_at=envelope.created_at,
    )
    row = record_rows.encode_run(run)
    assert record_rows.RUN.decode(row) == run
    assert writes.encode(keys.encode(run.run_id), "run", row)
    assert len(record_rows.newest_first(envelope.created_at)) == 18
    assert len(envelope.request_hash) == 64


def encoded_again(envelope: Envelope) -> None:
    assert envelope.payload is not None
    kind = CommandType(envelope.command_type)
    lane = lane_of(kind)
    assert lane is not None
    said = encode(
        command_id=envelope.command_id,
        correlation_id=envelope.correlation_id,
        command_type=kind,
        created_at=envelope.created_at,
        payload=envelope.payload,
        client_reference_id=envelope.client_reference_id,
        replay_of_command_id=envelope.replay_of_command_id,
    )
    assert decode(said.encode(), lane) == envelope


def calculated_with(envelope: Envelope) -> None:
    """Times and days leave room for what lanes add to them."""
    assert envelope.created_at + timedelta(days=7) > envelope.created_at - timedelta(days=7)
    match envelope.payload:
        case NightlyAnomalySweep(sweep_date=day, lookback_days=days):
            assert day - timedelta(days=days) < day + timedelta(days=31)
        case IngestionCompleted(transactions=list(lines)):
            for line in lines:
                assert line.posted_on - timedelta(days=366) < line.posted_on + timedelta(days=31)
                transaction = Transaction(
                    transaction_id=line.transaction_id,
                    account_id="a",
                    posted_on=line.posted_on,
                    amount=line.amount,
                    currency=line.currency,
                    description=line.description,
                    merchant_name=line.merchant_name,
                    category_hint=line.category_hint,
                    counterparty_account_id=line.counterparty_account_id,
                )
                row = record_rows.encode_transaction(transaction, run_id="r", batch_id="b", recorded_at=NOW)
                assert record_rows.TRANSACTION.decode(row) == transaction
                assert writes.encode("p", keys.encode(line.transaction_id), row)
        case _:
            pass


def run(seeds: range) -> None:
    decoded = 0
    for seed in seeds:
        body = bodies.body(seed)
        try:
            decoded += check(body) > 0
        except Exception as error:
            error.add_note(f"seed {seed}: {body[:2000]!r}")
            raise
    # a fuzz that only meets poison, or none, looks at nothing
    assert 0.2 < decoded / len(seeds) < 0.8, decoded


def test_whatever_the_bytes_it_is_poison_or_a_command_that_can_be_carried_on_with() -> None:
    run(range(EVERYDAY))


@pytest.mark.slow
def test_a_hundred_thousand_bodies() -> None:
    run(range(EVERYDAY, ALL))


def test_every_valid_command_of_the_generator_decodes_on_its_lane() -> None:
    for seed in range(500):
        rng = random.Random(seed)
        command = bodies.valid(rng)
        lane = lane_of(command["commandType"])
        assert lane is not None
        assert decode(bodies.text(rng, command), lane).supported
