"""Packs, their scores and the baseline that they are held to."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosaic_core.domain.policy import hint
from mosaic_core.domain.transactions import Answer
from mosaic_ops import cli
from mosaic_ops.evaluations import baseline, packs
from mosaic_ops.evaluations.baseline import Baseline, PackBaseline
from mosaic_ops.evaluations.jsonlines import InputError
from mosaic_ops.evaluations.packs import FOLDER, PACKS, Evaluation, Figure, evaluate
from mosaic_ops.evaluations.providers import offline
from mosaic_ops.evaluations.scores import Counts, confusion, macro_f1, wilson

BEFORE = Evaluation(
    pack="colours",
    cases=10,
    classes={"red": Counts(4, 1, 0), "blue": Counts(4, 0, 1)},
    figures=(Figure("share", 0.8, 0.7), Figure("odd", 1, 2, True)),
    misses=(),
)


@pytest.mark.parametrize(
    ("hits", "cases", "low", "high"),
    # Newcombe (1998), table I: Wilson's score method without continuity correction
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_agrees_with_published_intervals(hits: int, cases: int, low: float, high: float) -> None:
    found = wilson(hits, cases)
    assert found.low == pytest.approx(low, abs=5e-5)
    assert found.high == pytest.approx(high, abs=5e-5)


@given(st.integers(0, 500), st.integers(0, 500))
def test_an_interval_holds_its_share(hits: int, misses: int) -> None:
    found = wilson(hits, hits + misses)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_confusion_and_macro_f1() -> None:
    classes = confusion([("a", "a"), ("a", "b"), ("b", "b"), ("b", "c")])
    assert (classes["a"].precision.value, classes["a"].recall.value) == (1.0, 0.5)
    assert (classes["b"].precision.value, classes["b"].recall.value) == (0.5, 0.5)
    assert classes["c"].false_positives == 1
    assert classes["a"].f1.value == pytest.approx(2 / 3)
    assert macro_f1(classes) == pytest.approx((2 / 3 + 0.5) / 2), "a class without cases of its own does not count"


def _baseline(evaluation: Evaluation) -> Baseline:
    return Baseline(providers={"offline": {evaluation.pack: PackBaseline.of(evaluation)}})


def test_the_same_again_is_no_regression() -> None:
    assert baseline.regressions("offline", [BEFORE], _baseline(BEFORE)) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"figures": (Figure("share", 0.75, 0.7), Figure("odd", 1, 2, True))}, "share was 0.8000, is 0.7500"),
        ({"figures": (Figure("share", 0.8, 0.7), Figure("odd", 2, 2, True))}, "odd was 1.0000, is 2.0000"),
        ({"figures": (Figure("share", 0.9, 0.95),)}, "share is 0.9000, the goal is 0.95"),
        ({"figures": (Figure("odd", 3, 2, True),)}, "odd is 3.0000, the goal is 2"),
        ({"classes": {"red": Counts(3, 1, 1), "blue": Counts(4, 0, 1)}}, "F1 of red was 0.8889, is 0.7500"),
        ({"classes": {"red": Counts(4, 1, 0)}}, "F1 of blue was 0.8889, is 0.0000"),
    ],
)
def test_what_got_worse_is_named(changed: dict[str, object], said: str) -> None:
    worse = baseline.regressions("offline", [replace(BEFORE, **changed)], _baseline(BEFORE))  # type: ignore[arg-type]
    assert any(said in line for line in worse), worse


def test_what_got_better_is_no_regression() -> None:
    better = replace(BEFORE, figures=(Figure("share", 0.9, 0.7), Figure("odd", 0, 2, True)))
    assert baseline.regressions("offline", [better], _baseline(BEFORE)) == []


def test_another_provider_is_held_to_its_goals_only() -> None:
    weaker = replace(BEFORE, figures=(Figure("share", 0.71, 0.7),))
    assert baseline.regressions("openai", [weaker], _baseline(BEFORE)) == []


def test_an_update_keeps_what_was_not_evaluated(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    baseline.update("offline", [BEFORE, replace(BEFORE, pack="shapes")], path)
    baseline.update("offline", [replace(BEFORE, figures=(Figure("share", 0.5),))], path)
    packs = baseline.read(path).providers["offline"]
    assert packs["colours"].figures == {"share": 0.5}
    assert packs["shapes"].figures == {"share": 0.8, "odd": 1.0}


def test_an_unreadable_baseline_is_named(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    path.write_text('{"providers": 3}', encoding="utf-8")
    with pytest.raises(InputError, match=r"baseline\.json: is no baseline"):
        baseline.read(path)


def test_every_pack_has_a_committed_baseline() -> None:
    assert set(baseline.read().providers["offline"]) == set(PACKS)


@pytest.mark.parametrize("pack", ["categorisation", "questions", "refusals"])
def test_a_pack_keeps_its_goals_and_its_baseline(pack: str) -> None:
    found = evaluate(pack, offline)
    assert baseline.regressions("offline", [found], baseline.read()) == []
    assert found.cases >= 100


def test_the_labelled_questions_are_questions() -> None:
    """An order counts for no agent's answers or refusals."""
    lines = [json.loads(line) for line in (FOLDER / "refusals.jsonl").read_text(encoding="utf-8").splitlines()]
    held = [line["id"] for line in lines if hint(line["question"]) is not None]
    assert held == []
    assert len({line["id"] for line in lines}) == len({line["question"] for line in lines}) == len(lines)
    tuning, holdout = ({line["label"] for line in lines if line["set"] == kind} for kind in ("tuning", "holdout"))
    assert tuning == holdout


def test_a_wrong_label_costs(tmp_path: Path) -> None:
    """The pack measures: with every label turned round, nothing is right."""
    turned = {"order": "question", "question": "order"}
    text = (FOLDER / "messages.jsonl").read_text(encoding="utf-8").splitlines()
    lines = [line for line in map(json.loads, text) if line["kind"] in turned][::25]
    text_turned = "".join(json.dumps({**line, "kind": turned[line["kind"]]}) + "\n" for line in lines)
    (tmp_path / "messages.jsonl").write_text(text_turned, encoding="utf-8")
    found = evaluate("messages", offline, tmp_path)
    assert found.classes["pending_approval"].recall.value < 0.1
    assert found.misses


def test_the_command_writes_its_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "results.json"
    assert cli.main(["eval", "--pack", "categorisation", "--json", str(results)]) == 0
    found = json.loads(results.read_text(encoding="utf-8"))
    assert found["provider"] == "offline"
    assert [pack["pack"] for pack in found["packs"]] == ["categorisation"]
    assert {"class", "precision", "recall", "f1"} <= set(found["packs"][0]["classes"][0])
    assert found["regressions"] == []
    assert "macro-F1" in capsys.readouterr().out


def test_a_regression_is_the_commands_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = baseline.read().providers["offline"]["categorisation"]
    better = stored.model_copy(update={"figures": {**stored.figures, "macro-F1": 0.9999}})
    monkeypatch.setattr(baseline, "read", lambda: Baseline(providers={"offline": {"categorisation": better}}))
    assert cli.main(["eval", "run", "--pack", "categorisation"]) == 1
    assert "worse: categorisation: macro-F1 was 0.9999" in capsys.readouterr().err


def test_a_provider_without_a_baseline_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(baseline, "read", lambda: Baseline(providers={}))
    results = tmp_path / "results.json"
    assert cli.main(["eval", "--pack", "categorisation", "--provider", "configured", "--json", str(results)]) == 0
    assert "no baseline of offline for categorisation: held to the goals alone" in capsys.readouterr().out
    assert json.loads(results.read_text(encoding="utf-8"))["withoutBaseline"] == ["categorisation"]


@pytest.mark.parametrize("command", [["--pack", "refusals"], ["predict", "questions"]])
@pytest.mark.parametrize(
    ("provider", "settings", "named"),
    [
        ("openai", {}, ["Agent__Endpoint", "Agent__Model", "Agent__ApiKey"]),
        ("azure_openai", {"Agent__Endpoint": "https://model.example"}, ["Agent__Deployment", "Agent__ApiVersion"]),
        ("configured", {"Agent__Provider": "openai", "Agent__Modell": "x"}, ["Agent__ApiKey", "Agent__Modell is"]),
        ("openai", {"Agent__Deployment": "x"}, ["Agent__Deployment contradicts Agent__Provider"]),
    ],
)
def test_settings_that_are_missing_are_named(
    command: list[str],
    provider: str,
    settings: dict[str, str],
    named: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    if command[0] == "predict":
        (tmp_path / "in").write_text("", encoding="utf-8")
        files = [word for name in ("in", "out", "ledger") for word in (f"--{name}", str(tmp_path / "in"))]
        command = [*command, *files]
    assert cli.main(["eval", *command, "--provider", provider]) == 2
    error = capsys.readouterr().err
    assert all(name in error for name in named), error


@pytest.mark.parametrize(
    ("expected", "said", "right"),
    [
        ("Safeway", "Most of it went to Safeway, 93 payments.", True),
        ("Safeway", "Most of it went to Safeways.", False),
        ("no", "No, you did not.", True),
        ("yes", "No, yes is not the answer.", False),
        (["Geico", "Netflix"], "Geico and Netflix.", True),
        (["Geico", "Netflix"], "Geico.", False),
        ("rows", "Here they are.", True),
        (Decimal("12.50"), "12.50 USD", False),
    ],
)
def test_an_answer_in_words_is_right_where_it_names_what_was_expected(expected: Any, said: str, right: bool) -> None:
    answer = Answer(
        text=said,
        value=said,
        unit="",
        transaction_ids=(),
        confidence=0.85,
        outcome_code="answered",
        rationale="",
    )
    assert packs._same(expected, answer, 3) == right


@pytest.mark.parametrize("arguments", [["--pack", "colours"], ["--provider", "oracle"]])
def test_unknown_names_are_a_usage_error(arguments: list[str]) -> None:
    assert cli.main(["eval", *arguments]) == 2
