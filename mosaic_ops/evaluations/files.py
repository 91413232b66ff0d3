"""From a file of lines to a file of predictions: reading, checking and writing around `predict`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from mosaic_core.domain.transactions import Transaction
from mosaic_ops.evaluations import jsonlines, predict
from mosaic_ops.evaluations.inputs import DescriptorLine, LedgerLine, MessageLine, QuestionLine
from mosaic_ops.evaluations.jsonlines import InputError
from mosaic_ops.evaluations.messages import outcomes
from mosaic_ops.evaluations.predict import Kind
from mosaic_ops.evaluations.providers import Agents


def run(kind: Kind, source: Path, target: Path, *, ledger: Path | None, as_of: date | None, agents: Agents) -> int:
    """Writes the predictions for ``source`` to ``target`` and returns how many there are. ``as_of`` None is the
    ledger's last day. Raises `InputError`; ``target`` is then as it was."""
    with jsonlines.replacing(target) as out:
        count = 0
        for prediction in _predictions(kind, source, ledger, as_of, agents):
            out.write(jsonlines.encode(prediction) + "\n")
            count += 1
        return count


def _predictions(
    kind: Kind, source: Path, ledger: Path | None, as_of: date | None, agents: Agents
) -> Iterator[dict[str, Any]]:
    if kind is Kind.CATEGORIES:
        return (predict.category(line) for _, line in jsonlines.read(source, DescriptorLine))
    if kind is Kind.ANOMALIES:
        transactions = read_ledger(source)
        return predict.anomalies(transactions, as_of or last_day(transactions))
    assert ledger is not None
    transactions = read_ledger(ledger)
    day = as_of or last_day(transactions)
    if kind is Kind.MESSAGES:
        return outcomes((line for _, line in jsonlines.read(source, MessageLine)), transactions, day, agents)
    questions = (line for _, line in jsonlines.read(source, QuestionLine))
    return predict.answers(questions, transactions, day, agents)


def read_ledger(path: Path) -> list[Transaction]:
    """One household's rows, each categorised, in the file's order. A repeated line counts once, as in a batch of the
    ingestion lane; raises `InputError` where one id stands for two contents."""
    seen: dict[str, LedgerLine] = {}
    for number, line in jsonlines.read(path, LedgerLine):
        if seen.setdefault(line.transaction_id, line) != line:
            issue = "stands for another transaction on an earlier line"
            raise InputError(path, issue, line=number, field="transactionId")
    return [predict.ledger_transaction(line) for line in seen.values()]


def last_day(transactions: Sequence[Transaction] | Iterable[Transaction]) -> date:
    """The ledger's last day; today, in UTC, where it is empty."""
    return max((t.posted_on for t in transactions), default=datetime.now(UTC).date())
