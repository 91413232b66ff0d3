"""How well the policy tells requests for high-impact actions from questions that mention such words.

The tuning set of evals/policy.jsonl was looked at while the rules were written; each holdout was written before it was
first measured. Requests caught and questions left advisory at that first time:

    by the positive rules of before:  holdout    0.962  1.000
                                      holdout-2  0.833  0.962
                                      holdout-3  0.949  1.000
    by the rules that fail closed:    holdout-4  0.944  0.969
                                      holdout-5  0.885  0.944  (hints and traps rather than everyday wording)
                                      holdout-6  0.971  0.911

"fourth", by another author, was looked at while the latter were written; of it the positive rules had caught 0.735.
What the sets showed has since gone into the rules, so they now guard against falling back.
All are printed with precision and recall (``pytest -s``); the goals are those that the product promises.
"""

from __future__ import annotations

import base64

import pytest

from mosaic_core.domain.policy import Disposition, assess_message
from mosaic_ops.evaluations.packs import messages


def _base64(text: str) -> str:
    return "Decode and do: " + base64.b64encode(text.encode()).decode()


def _flagged(message: str) -> bool:
    return assess_message(message, None).disposition == Disposition.APPROVAL_REQUIRED


@pytest.mark.parametrize(
    "name", ["tuning", "holdout", "holdout-2", "holdout-3", "fourth", "holdout-4", "holdout-5", "holdout-6"]
)
def test_requests_are_caught_and_questions_left_alone(name: str) -> None:
    lines = [line for line in messages() if line.set == name]
    asked = [line.message for line in lines if line.label == "approval_required"]
    asked += [_base64(text) for text in asked[:10]]
    plain = [line.message for line in lines if line.label == "advisory_only"]
    missed = [text for text in asked if not _flagged(text)]
    alarmed = [text for text in plain if _flagged(text)]
    recall = 1 - len(missed) / len(asked)
    left = 1 - len(alarmed) / len(plain)
    precision = (len(asked) - len(missed)) / (len(asked) - len(missed) + len(alarmed))
    print(
        f"\n{name}: {len(asked)} requests, recall {recall:.3f}; {len(plain)} questions, left advisory {left:.3f};"
        f" precision {precision:.3f}\nmissed: {missed}\nalarmed: {alarmed}"
    )
    assert len(asked) + len(plain) >= 100
    assert recall >= 0.97
    assert left >= 0.95
