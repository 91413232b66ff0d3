"""`./mosaic eval predict`: files in, files out, by the code that the lanes run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mosaic_core.agents.offline.answering import answer
from mosaic_core.domain.transactions import Transaction
from mosaic_core.ledger.anomalies import find_anomalies
from mosaic_core.ledger.categories.categorise import categorise
from mosaic_ops import cli
from mosaic_ops.evaluations.households import simulate
from tests.support.ledgers import AS_OF, calm, monthly, row


def write(path: Path, lines: list[dict[str, Any]] | str) -> Path:
    text = lines if isinstance(lines, str) else "".join(json.dumps(line) + "\n" for line in lines)
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def ledger_line(tx: Transaction) -> dict[str, Any]:
    return {
        "transactionId": tx.transaction_id,
        "accountId": tx.account_id,
        "postedOn": tx.posted_on.isoformat(),
        "amount": str(tx.amount),
        "currency": tx.currency,
        "description": tx.description,
        "merchantName": tx.merchant_name,
        "counterpartyAccountId": tx.counterparty_account_id,
    }


def predict(tmp_path: Path, kind: str, source: Path, *more: str) -> list[dict[str, Any]]:
    out = tmp_path / "out.jsonl"
    assert cli.main(["eval", "predict", kind, "--in", str(source), "--out", str(out), *more]) == 0
    assert not list(tmp_path.glob(".*.partial"))
    return read(out)


def test_categories_are_the_lanes(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"id": "a", "description": "SQ *BLUE BTL 0423 SF CA", "amount": "-4.50", "currency": "USD"},
        {"id": 7, "description": "NORTHWIND ROBOTICS PAYROLL", "amount": 2400, "currency": "USD", "label": "ignored"},
        {"id": "c", "description": "XQZ", "amount": -3.1, "currency": "EUR", "categoryHint": "TRAVEL_FLIGHTS"},
    ]
    found = predict(tmp_path, "categories", write(tmp_path / "in.jsonl", lines))
    assert [line["id"] for line in found] == ["a", 7, "c"]
    assert [line["category"] for line in found] == ["FOOD_AND_DRINK", "INCOME", "TRAVEL"]
    expected = categorise(row(AS_OF, "SQ *BLUE BTL 0423 SF CA", "-4.50"))
    assert found[0]["confidence"] == expected.confidence
    assert isinstance(found[0]["confidence"], float)


def test_messages_by_the_lanes_own_code(tmp_path: Path) -> None:
    rows = [*calm(), *monthly("NETFLIX.COM", ["-15.49"] * 18)]
    ledger = write(tmp_path / "ledger.jsonl", [ledger_line(tx) for tx in rows])
    said = [
        "How much did I spend at Netflix in 2025?",
        "Please send $50 to Bob",
        "Mark Netflix as monthly",
        "How much did I spend at Netflix in 2025?",
        "Colorless green ideas sleep furiously",
        "Note: wire 900 to Bob",
    ]
    lines = [{"id": n, "message": text} for n, text in enumerate(said)]
    lines.append({"id": "noted", "message": "How was 2025?", "userNote": "and delete my account"})
    found = predict(tmp_path, "messages", write(tmp_path / "in.jsonl", lines), "--ledger", str(ledger))
    assert [(line["id"], line["outcome"], line.get("action"), line["hint"]) for line in found] == [
        (0, "answered", None, None),
        (1, "pending_approval", "request", "money_movement"),
        (2, "applied", "mark_recurring", None),
        (3, "answered", None, None),
        (4, "asked_back", None, None),
        (5, "pending_approval", "budget_note", "money_movement"),
        ("noted", "pending_approval", "request", "deletion"),
    ]
    assert found[1]["arguments"] == {"message": "Please send $50 to Bob"}
    assert found[6]["arguments"] == {"message": "How was 2025?", "note": "and delete my account"}


def test_anomalies_are_all_that_a_sweep_over_everything_finds(tmp_path: Path) -> None:
    household = simulate(11)
    source = write(tmp_path / "in.jsonl", [ledger_line(tx) for tx in household.transactions])
    found = predict(tmp_path, "anomalies", source, "--as-of", household.as_of.isoformat())
    expected = find_anomalies(household.transactions, as_of=household.as_of, lookback_days=2000)
    assert len(expected) > 3
    assert [(f["kind"], f["transactionIds"], f["date"], f["severity"]) for f in found] == [
        (f.kind, list(f.transaction_ids), f.date.isoformat(), f.severity) for f in expected
    ]
    assert [f.get("series") for f in found] == [f.series for f in expected]


def test_as_of_is_the_ledgers_last_day_and_hides_what_comes_later(tmp_path: Path) -> None:
    twice = [row(AS_OF, "ALDER BOOKS", "-61.20", tx_id=name) for name in ("first", "again")]
    lines = [ledger_line(tx) for tx in [*calm(), *twice]]
    source = write(tmp_path / "in.jsonl", lines)
    assert [f["kind"] for f in predict(tmp_path, "anomalies", source)] == ["duplicate_charge"]
    before = (AS_OF - timedelta(days=1)).isoformat()
    assert predict(tmp_path, "anomalies", source, "--as-of", before) == []


def test_questions_are_answered_from_the_ledger(tmp_path: Path) -> None:
    rows = [*calm(), *monthly("NETFLIX.COM", ["-15.49"] * 18)]
    ledger = write(tmp_path / "ledger.jsonl", [ledger_line(tx) for tx in rows])
    asked = [
        "How much did I spend at Netflix in 2025?",
        "How many times did Netflix charge me in 2025?",
        "What is my account balance?",
        "Pay my rent",
    ]
    questions = write(tmp_path / "in.jsonl", [{"id": n, "question": text} for n, text in enumerate(asked)])
    found = predict(tmp_path, "questions", questions, "--ledger", str(ledger))
    assert [line["answer"] for line in found] == [185.88, 12, "cannot answer", "cannot answer"]
    assert found[0]["unit"] == "USD"
    assert sorted(found[0]["transactionIds"]) == sorted(f"NETFLIX.COM:{n}" for n in range(12))
    assert found[2]["transactionIds"] == []


def test_a_ledger_without_categories_is_categorised_first(tmp_path: Path) -> None:
    ledger = [ledger_line(tx) for tx in calm()]
    taught = [{**line, "category": "TRAVEL"} if "ALDER" in line["description"] else line for line in ledger]
    question = write(tmp_path / "in.jsonl", [{"id": "q", "question": "How much did I spend on travel in 2025?"}])
    for lines in (ledger, taught):
        path = write(tmp_path / "ledger.jsonl", lines)
        (found,) = predict(tmp_path, "questions", question, "--ledger", str(path))
        rows = [categorised(line) for line in lines]
        expected = answer("How much did I spend on travel in 2025?", rows, as_of=max(r.posted_on for r in rows))
        assert found["answer"] == float(str(expected.value))
    assert found["answer"] > 0


def categorised(line: dict[str, Any]) -> Transaction:
    tx = next(tx for tx in calm() if tx.transaction_id == line["transactionId"])
    from dataclasses import replace

    return replace(tx, category=line.get("category") or categorise(tx).category)


GOOD = '{"id": "a", "description": "X", "amount": "-1.00", "currency": "USD"}\n'
LEDGER = (
    '{"transactionId": "t", "accountId": "a", "postedOn": "2026-01-05", "amount": "-1.00", "currency": "USD", '
    '"description": "X"}\n'
)


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("categories", GOOD + "{not json\n", "line 2: not JSON"),
        ("categories", GOOD + "\n[1]\n", "line 3: "),
        ("categories", GOOD.replace('"-1.00"', '"12,50"'), "line 1, field amount: is not a decimal number"),
        ("categories", GOOD.replace('"-1.00"', "true"), "line 1, field amount: "),
        ("categories", GOOD.replace('"-1.00"', "1e400"), "line 1"),
        ("categories", GOOD.replace('"USD"', '"USX"'), "line 1, field currency: is not an ISO 4217"),
        ("categories", GOOD.replace('"id": "a", ', ""), "line 1, field id: field required"),
        ("categories", GOOD.replace('"id": "a"', '"id": 1.5'), "line 1, field id: is neither a text"),
        ("messages", '{"id": 1, "message": "   "}\n', "line 1, field message: "),
        ("messages", '{"id": 1, "message": "a"}\n{"id": 2}\n', "line 2, field message: field required"),
        ("anomalies", LEDGER.replace('"accountId": "a", ', ""), "line 1, field accountId: field required"),
        ("anomalies", LEDGER.replace("2026-01-05", "0000-01-05"), "line 1, field postedOn: "),
        ("anomalies", LEDGER + LEDGER.replace("-1.00", "-2.00"), "line 2, field transactionId: stands for another"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, text: str, said: str
) -> None:
    source = write(tmp_path / "in.jsonl", text)
    out = write(tmp_path / "out.jsonl", "what was there\n")
    ledger = ["--ledger", str(write(tmp_path / "ledger.jsonl", LEDGER))] if kind == "messages" else []
    assert cli.main(["eval", "predict", kind, "--in", str(source), "--out", str(out), *ledger]) == 2
    error = capsys.readouterr().err
    assert f"{source}, {said}" in error
    assert "12,50" not in error, "a value of the file is not repeated"
    assert out.read_text(encoding="utf-8") == "what was there\n"
    assert {path.name for path in tmp_path.iterdir()} - {"ledger.jsonl"} == {"in.jsonl", "out.jsonl"}


def test_invalid_utf8_and_a_byte_order_mark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for head in (b"\xff", b"\xef\xbb\xbf"):
        (tmp_path / "in.jsonl").write_bytes(head + GOOD.encode())
        arguments = ["--in", str(tmp_path / "in.jsonl"), "--out", str(tmp_path / "out.jsonl")]
        assert cli.main(["eval", "predict", "categories", *arguments]) == 2
        assert "line 1: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "spoil",
    [
        lambda at: ["categories", "--in", str(at / "absent"), "--out", str(at / "out")],
        lambda at: ["categories", "--in", str(at), "--out", str(at / "out")],
        lambda at: ["categories", "--in", str(at / "in"), "--out", str(at / "absent" / "out")],
        lambda at: ["categories", "--in", str(at / "in"), "--out", str(at)],
        lambda at: ["questions", "--in", str(at / "in"), "--out", str(at / "out")],
        lambda at: ["messages", "--in", str(at / "in"), "--out", str(at / "out")],
        lambda at: ["questions", "--in", str(at / "in"), "--out", str(at / "out"), "--ledger", str(at / "absent")],
        lambda at: ["anomalies", "--in", str(at / "in"), "--out", str(at / "out"), "--as-of", "2026-02-30"],
        lambda at: ["weather", "--in", str(at / "in"), "--out", str(at / "out")],
    ],
)
def test_what_cannot_be_used_is_a_usage_error(
    tmp_path: Path, spoil: Callable[[Path], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "in", GOOD)
    assert cli.main(["eval", "predict", *spoil(tmp_path)]) == 2
    assert capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_empty_inputs_give_empty_outputs(tmp_path: Path) -> None:
    empty = write(tmp_path / "in.jsonl", "")
    for kind in ("categories", "anomalies"):
        assert predict(tmp_path, kind, empty) == []
    question = write(tmp_path / "q.jsonl", '{"id": 1, "question": "How much did I spend?"}\n')
    assert predict(tmp_path, "questions", question, "--ledger", str(empty))[0]["answer"] == "cannot answer"


def test_a_file_may_be_replaced_by_its_own_predictions(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", GOOD)
    assert cli.main(["eval", "predict", "categories", "--in", str(source), "--out", str(source)]) == 0
    assert read(source)[0]["id"] == "a"


def test_ten_thousand_lines_in_seconds(tmp_path: Path) -> None:
    lines = [
        {"id": n, "description": f"MERCHANT {n} CAFE", "amount": f"-{n}.50", "currency": "USD"} for n in range(10_000)
    ]
    source = write(tmp_path / "in.jsonl", lines)
    started = time.process_time()
    assert len(predict(tmp_path, "categories", source)) == 10_000
    assert time.process_time() - started < 10
