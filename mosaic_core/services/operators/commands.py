"""What an operator may read, of any household. What a member said is the household's own, and stays so."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from mosaic_core.computing import compute
from mosaic_core.domain import ids
from mosaic_core.domain.envelope import IngestionCompleted, TransactionLine, decode
from mosaic_core.domain.errors import PoisonError, RequestError
from mosaic_core.domain.ids import clean
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import CommandOrigin
from mosaic_core.domain.records import Command
from mosaic_core.ports import Stores
from mosaic_core.services.views import CommandDetail, SentBatch, SentTransaction

log = logging.getLogger(__name__)

SHOWN_ROWS: Final = 50


@dataclass(frozen=True, slots=True)
class CommandReads:
    """Raises `StoreUnreachableError` where the tables do not answer."""

    stores: Stores

    async def one(self, command_id: str, operator: str) -> CommandDetail:
        """The command as it is recorded, with what was sent where that came past the API. Who looked is logged.

        Raises `RequestError` ``not_found`` where nothing is recorded under the id.
        """
        found = await self.stores.commands.read(command_id)
        log.info("an operator looked at a command", extra={"commandId": command_id, "subject": clean(operator)})
        if found is None:
            raise RequestError(
                "not_found", "nothing is recorded under this id; a message that carried it is a dead letter"
            )
        return CommandDetail(
            command_id=found.command_id,
            command_type=found.command_type,
            queue=found.queue,
            household_id=found.household_id or None,
            run_id=ids.run_id(found.queue, found.command_id),
            origin=found.origin,
            subject=found.subject or None,
            request_hash=found.request_hash,
            recorded_at_utc=found.recorded_at,
            sent=await compute(_sent, found) if found.origin == CommandOrigin.PRODUCER else None,
        )


def _sent(command: Command) -> SentBatch | None:
    """None where this version cannot read it any more."""
    try:
        envelope = decode(command.envelope.encode(), Lane.INGESTION)
    except PoisonError:
        return None
    payload = envelope.payload
    if not isinstance(payload, IngestionCompleted):
        return None
    rows = payload.transactions or []
    return SentBatch(
        correlation_id=clean(envelope.correlation_id),
        created_at_utc=envelope.created_at,
        source=payload.source,
        account_id=payload.account_id,
        batch_id=payload.batch_id,
        transactions_blob=payload.transactions_blob,
        transaction_count=len(rows) if payload.transactions is not None else None,
        transactions=[_row(row) for row in rows[:SHOWN_ROWS]],
    )


def _row(line: TransactionLine) -> SentTransaction:
    return SentTransaction(
        transaction_id=line.transaction_id,
        posted_on=line.posted_on,
        amount=str(line.amount),
        currency=line.currency,
        description=line.description,
        merchant_name=line.merchant_name,
    )
