"""Predictions by the code that the lanes run: what each analysis says of the user's own data. No files here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import date
from enum import StrEnum
from typing import Any, Final

from mosaic_core.domain.transactions import Answer, Finding, Transaction
from mosaic_core.ledger.anomalies import find_anomalies
from mosaic_core.ledger.categories.categorise import categorise
from mosaic_ops.evaluations.inputs import DescriptorLine, LedgerLine, QuestionLine
from mosaic_ops.evaluations.providers import Agents

CANNOT_ANSWER: Final = "cannot answer"
_ANY_DAY: Final = date(2000, 1, 1)
"""A descriptor has no day, and the categoriser looks at none."""


class Kind(StrEnum):
    """What can be predicted."""

    CATEGORIES = "categories"
    ANOMALIES = "anomalies"
    MESSAGES = "messages"
    QUESTIONS = "questions"


def ledger_transaction(line: LedgerLine) -> Transaction:
    """The row as the ledger holds it after ingestion: with a category, which the lane's categoriser gives where the
    line brings none."""
    transaction = Transaction(
        transaction_id=line.transaction_id,
        account_id=line.account_id,
        posted_on=line.posted_on,
        amount=line.amount,
        currency=line.currency,
        description=line.description,
        merchant_name=line.merchant_name,
        category_hint=line.category_hint,
        counterparty_account_id=line.counterparty_account_id,
        category=line.category or "",
    )
    if transaction.category:
        return transaction
    found = categorise(transaction)
    return replace(
        transaction, category=found.category, category_confidence=found.confidence, category_source=found.source
    )


def category(line: DescriptorLine) -> dict[str, Any]:
    """{id, category, confidence, source}, as the ingestion lane decides."""
    found = categorise(
        Transaction(
            transaction_id=str(line.id),
            account_id=line.account_id,
            posted_on=_ANY_DAY,
            amount=line.amount,
            currency=line.currency,
            description=line.description,
            merchant_name=line.merchant_name,
            category_hint=line.category_hint,
            counterparty_account_id=line.counterparty_account_id,
        )
    )
    return {"id": line.id, "category": found.category, "confidence": found.confidence, "source": found.source}


def all_findings(transactions: Sequence[Transaction], as_of: date) -> list[Finding]:
    """What a sweep with lookback over the whole ledger finds up to ``as_of``, oldest first."""
    if not transactions:
        return []
    first = min(transaction.posted_on for transaction in transactions)
    return find_anomalies(transactions, as_of=as_of, lookback_days=max(1, (as_of - first).days + 1))


def anomalies(transactions: Sequence[Transaction], as_of: date) -> Iterator[dict[str, Any]]:
    """{kind, transactionIds, date, severity, explanation, confidence, series?} of each finding."""
    for finding in all_findings(transactions, as_of):
        out: dict[str, Any] = {
            "kind": finding.kind,
            "transactionIds": list(finding.transaction_ids),
            "date": finding.date.isoformat(),
            "severity": finding.severity,
            "explanation": finding.explanation,
            "confidence": finding.confidence,
        }
        yield out if finding.series is None else {**out, "series": finding.series}


def answers(
    lines: Iterable[QuestionLine], transactions: Sequence[Transaction], as_of: date, agents: Agents
) -> Iterator[dict[str, Any]]:
    """{id, answer, unit, transactionIds, confidence, reason} of each question. Raises as `replies`."""
    asked = list(lines)
    for line, said in zip(asked, replies((q.question for q in asked), transactions, as_of, agents), strict=True):
        answered = is_answered(said)
        yield {
            "id": line.id,
            "answer": said.value if answered else CANNOT_ANSWER,
            "unit": said.unit if answered else "",
            "transactionIds": list(said.transaction_ids) if answered else [],
            "confidence": said.confidence,
            "reason": said.rationale,
        }


def replies(
    questions: Iterable[str], transactions: Sequence[Transaction], as_of: date, agents: Agents
) -> Iterator[Answer]:
    """The answer to each question, one after the other, as the agent gives it in the conversation lane. Raises
    `LaneError` where the agent's provider does not answer."""
    upto = [transaction for transaction in transactions if transaction.posted_on <= as_of]
    with asyncio.Runner() as runner:
        opened = AsyncExitStack()
        try:
            agent = runner.run(opened.enter_async_context(agents()))
            for question in questions:
                yield runner.run(agent.answer(question, upto, as_of=as_of))
        finally:
            runner.run(opened.aclose())


def is_answered(answer: Answer) -> bool:
    return answer.outcome_code != "cannot_answer" and answer.value is not None
