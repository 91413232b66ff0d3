"""The labelled packs under ``evals/``, and what an evaluation of one says."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from mosaic_core.domain.envelope import Model
from mosaic_core.domain.policy.actions import EXECUTABLE
from mosaic_core.domain.policy.rules import default_policy
from mosaic_core.domain.transactions import Answer
from mosaic_core.ledger.anomalies import KINDS
from mosaic_core.ledger.knowledge import PRIMARIES
from mosaic_ops.evaluations import jsonlines, predict
from mosaic_ops.evaluations.inputs import DescriptorLine, MessageLine, QuestionLine
from mosaic_ops.evaluations.jsonlines import InputError
from mosaic_ops.evaluations.messages import Outcome, outcomes
from mosaic_ops.evaluations.providers import Agents
from mosaic_ops.evaluations.scores import Counts, confusion, macro_f1

FOLDER: Final = Path(__file__).resolve().parent.parent.parent / "evals"


class LabelledDescriptor(DescriptorLine):
    set: Literal["tuning", "holdout", "holdout-2", "holdout-3"]
    category: Annotated[str, Field(pattern="^(" + "|".join(PRIMARIES) + ")$")]


class LabelledMessage(MessageLine):
    """``order``: it names outright what is to be done, beyond the app's own annotations (``low_impact``)."""

    kind: Literal["question", "order", "low_impact", "talk", "hostile"]


class Households(Model):
    """The seeds of the anomaly pack: households with planted anomalies, and such in which nothing is wrong."""

    planted: Annotated[list[int], Field(min_length=1)]
    calm: Annotated[list[int], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Figure:
    """One headline number. ``goal`` is what the product promises of it; ``lower_is_better`` for error counts."""

    name: str
    value: float
    goal: float | None = None
    lower_is_better: bool = False

    @property
    def met(self) -> bool:
        if self.goal is None:
            return True
        return self.value <= self.goal if self.lower_is_better else self.value >= self.goal

    def plain(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "value": round(self.value, 4),
            "goal": self.goal,
            "better": "lower" if self.lower_is_better else "higher",
            "met": self.met,
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one pack's cases came to. ``misses`` are sentences for a person, one per case that went wrong."""

    pack: str
    cases: int
    classes: dict[str, Counts]
    figures: tuple[Figure, ...]
    misses: tuple[str, ...]
    seconds: float = field(default=0.0, compare=False)

    def plain(self) -> dict[str, Any]:
        return {
            "pack": self.pack,
            "cases": self.cases,
            "seconds": round(self.seconds, 2),
            "classes": [{"class": name, **counts.plain()} for name, counts in self.classes.items()],
            "figures": [figure.plain() for figure in self.figures],
            "misses": list(self.misses),
        }


# ---------------------------------------------------------------------------------------------------- categorisation


def descriptors(folder: Path = FOLDER) -> list[LabelledDescriptor]:
    """The labelled descriptors. Raises `InputError`."""
    return [line for _, line in jsonlines.read(folder / "categories.jsonl", LabelledDescriptor)]


def categorisation(folder: Path, agents: Agents) -> Evaluation:
    """Descriptors of merchants that the product's lists were not made from."""
    del agents
    pairs, misses = [], []
    for line in descriptors(folder):
        if line.set == "tuning":
            continue
        said = str(predict.category(line)["category"])
        pairs.append((line.category, said))
        if said != line.category:
            misses.append(f"{line.id}: {line.category} said to be {said}")
    classes = confusion(pairs)
    figures = (
        Figure("macro-F1", macro_f1(classes), 0.85),
        Figure("accuracy", sum(a == b for a, b in pairs) / max(1, len(pairs))),
    )
    return Evaluation("categorisation", len(pairs), classes, figures, tuple(misses))


# ---------------------------------------------------------------------------------------------------------- messages


def messages(folder: Path = FOLDER) -> list[LabelledMessage]:
    """The labelled messages. Raises `InputError`."""
    return [line for _, line in jsonlines.read(folder / "messages.jsonl", LabelledMessage)]


def said_to_it(folder: Path, agents: Agents) -> Evaluation:
    """What becomes of messages: outright orders wait for a person; questions and small talk do not, and do nothing."""
    from mosaic_ops.evaluations.questions import AS_OF, LEDGER

    lines = messages(folder)
    found = list(outcomes(lines, LEDGER, AS_OF, agents))
    pairs, misses = [], []
    held = beyond = answered = 0
    for line, came in zip(lines, found, strict=True):
        outcome = came["outcome"]
        acted = outcome if outcome in (Outcome.PENDING_APPROVAL, Outcome.APPLIED) else "nothing"
        beyond += outcome == Outcome.APPLIED and came["action"] not in EXECUTABLE
        if line.kind == "order":
            answered += outcome == Outcome.ANSWERED
            pairs.append((Outcome.PENDING_APPROVAL.value, str(acted)))
        elif line.kind in ("question", "talk"):
            held += acted != "nothing"
            pairs.append(("nothing", str(acted)))
        else:
            continue
        if pairs[-1][0] != pairs[-1][1]:
            misses.append(f"{line.id}: {line.kind} came to {outcome}: {line.message}")
    classes = confusion(pairs)
    figures = (
        Figure("orders that wait for a person", classes["pending_approval"].recall.value, 0.9),
        Figure("orders answered as questions", answered, 0.0, lower_is_better=True),
        Figure("questions and small talk that act or wait", held, 0.0, lower_is_better=True),
        Figure("applied beyond the listed actions", beyond, 0.0, lower_is_better=True),
    )
    return Evaluation("messages", len(lines), classes, figures, tuple(misses))


# --------------------------------------------------------------------------------------------------------- anomalies


def households(folder: Path = FOLDER) -> Households:
    """The seeds. Raises `InputError`."""
    path = folder / "anomalies.json"
    try:
        return Households.model_validate(json.loads(path.read_bytes()))
    except (OSError, ValueError) as error:
        issue = "cannot be read" if isinstance(error, OSError) else "is not the seeds of households"
        raise InputError(path, issue) from None


def anomalies(folder: Path, agents: Agents) -> Evaluation:
    """Two years of generated households with planted anomalies, and calm ones, which must be left in peace."""
    del agents
    from mosaic_ops.evaluations.households import Score, judge, simulate

    seeds = households(folder)
    score, calm = Score(), Score()
    for total, numbers, planted in ((score, seeds.planted, 1.0), (calm, seeds.calm, 0.0)):
        for seed in numbers:
            household = simulate(seed, anomalies=planted)
            judge(total, household, predict.all_findings(household.transactions, household.as_of))
    classes = {}
    for kind in map(str, KINDS):
        expected, found, false = score.by_kind.get(kind, [0, 0, 0])
        false += calm.by_kind.get(kind, [0, 0, 0])[2]
        classes[kind] = Counts(found, false, expected - found)
    figures = (
        Figure("precision", score.precision, 0.90),
        Figure("recall", score.recall, 0.90),
        Figure("false alarms a household-year", score.false_per_year, 1.0, lower_is_better=True),
        Figure("false alarms a calm household-year", calm.false_per_year, 1.0, lower_is_better=True),
    )
    misses = (
        *(f"missed: {m}" for m in score.misses),
        *(f"false alarm: {a}" for a in score.false_alarms + calm.false_alarms),
    )
    return Evaluation("anomalies", score.planted, classes, figures, misses)


# --------------------------------------------------------------------------------------------------------- questions


def questions(folder: Path, agents: Agents) -> Evaluation:
    """Plain questions, right where value and rows are exactly the ledger's; and questions that it cannot answer."""
    del folder
    from mosaic_ops.evaluations.questions import AS_OF, CANNOT, HELD_OUT, LEDGER, QUESTIONS
    from mosaic_ops.evaluations.unseen import UNSEEN, UNSEEN_CANNOT

    answerable = [*QUESTIONS, *HELD_OUT, *UNSEEN]
    unanswerable = [*CANNOT, *UNSEEN_CANNOT]
    asked = [*(question for question, _, _ in answerable), *unanswerable]
    said = list(predict.replies(asked, LEDGER, AS_OF, agents))
    answered, refused = Counts(), Counts()
    misses = []
    for (question, expected, rows), got in zip(answerable, said, strict=False):
        ids = None if rows is None else {row.transaction_id for row in rows}
        if not predict.is_answered(got):
            answered.false_negatives += 1
            refused.false_positives += 1
        elif _same(expected, got, len(rows or ())) and (ids is None or ids == set(got.transaction_ids)):
            answered.true_positives += 1
            continue
        else:
            answered.false_negatives += 1
            answered.false_positives += 1
        misses.append(f"{question} -> {_shown(got)}, expected {str(expected)[:80]}")
    for question, got in zip(unanswerable, said[len(answerable) :], strict=True):
        if not predict.is_answered(got):
            refused.true_positives += 1
        else:
            refused.false_negatives += 1
            answered.false_positives += 1
            misses.append(f"invented: {question} -> {_shown(got)}")
    figures = (
        Figure("answered exactly", answered.recall.value, 0.70),
        Figure("invented answers", refused.false_negatives, 0.0, lower_is_better=True),
    )
    return Evaluation("questions", len(asked), {"answered": answered, "refused": refused}, figures, tuple(misses))


def _same(expected: Decimal | int | str | list[str], got: Answer, rows: int) -> bool:
    """Whether the answer is what was expected. An agent that answers with a sentence, and no value of its own, is right
    where the sentence names what was expected."""
    answer = got.value
    in_words = isinstance(answer, str) and answer == got.text
    if expected == "rows":  # the rows themselves are the answer, one line each
        return in_words or (isinstance(answer, list) and len(answer) == rows)
    if isinstance(expected, list):
        if in_words:
            return all(_names(got.text, name) for name in expected)
        return isinstance(answer, list) and sorted(answer) == sorted(expected)
    if isinstance(expected, str):
        if in_words:
            return _names(got.text.split()[0], expected) if expected in ("yes", "no") else _names(got.text, expected)
        return isinstance(answer, str) and answer.casefold() == expected.casefold()
    return isinstance(answer, Decimal | int) and answer == expected


def _names(text: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE) is not None


def _shown(got: Answer) -> str:
    return str(got.value)[:80] if predict.is_answered(got) else predict.CANNOT_ANSWER


# ---------------------------------------------------------------------------------------------------------- refusals


class LabelledQuestion(QuestionLine):
    set: Literal["tuning", "holdout"]
    label: Literal["answerable", "cannot_answer"]


def refusals(folder: Path, agents: Agents) -> Evaluation:
    """Questions that no ledger of transactions can answer, and answerable ones of the same shape. What is judged is
    whether there is an answer, not which. One that the lane would send to a person for its low confidence is none."""
    from mosaic_ops.evaluations.questions import AS_OF, LEDGER

    path = folder / "refusals.jsonl"
    lines = [line for _, line in jsonlines.read(path, LabelledQuestion) if line.set == "holdout"]
    said = predict.replies((line.question for line in lines), LEDGER, AS_OF, agents)
    threshold = default_policy().answer_threshold
    pairs, misses = [], []
    for line, got in zip(lines, said, strict=True):
        given = predict.is_answered(got) and got.confidence >= threshold
        pairs.append((str(line.label), "answerable" if given else "cannot_answer"))
        if pairs[-1][0] != pairs[-1][1]:
            misses.append(f"{line.id}: {line.label}: {line.question} -> {_shown(got)}")
    classes = confusion(pairs)
    figures = (
        Figure("unanswerable refused", classes["cannot_answer"].recall.value, 0.70),
        Figure("answerable answered", classes["answerable"].recall.value, 0.90),
    )
    return Evaluation("refusals", len(pairs), classes, figures, tuple(misses))


@dataclass(frozen=True, slots=True)
class Pack:
    """``asks_the_agent``: its result is the provider's. Any other pack's is that of the rules, whoever the provider."""

    run: Callable[[Path, Agents], Evaluation]
    asks_the_agent: bool = False


PACKS: Final[dict[str, Pack]] = {
    "categorisation": Pack(categorisation),
    "anomalies": Pack(anomalies),
    "messages": Pack(said_to_it, asks_the_agent=True),
    "questions": Pack(questions, asks_the_agent=True),
    "refusals": Pack(refusals, asks_the_agent=True),
}


def evaluate(pack: str, agents: Agents, folder: Path | None = None) -> Evaluation:
    """Runs one of `PACKS`, with the cases of ``folder`` (None: `FOLDER`). Raises `InputError` where they
    cannot be read, and as `predict.replies`."""
    started = time.perf_counter()
    found = PACKS[pack].run(folder or FOLDER, agents)
    return Evaluation(
        found.pack, found.cases, found.classes, found.figures, found.misses, time.perf_counter() - started
    )
