"""How well the policy tells requests for high-impact actions from questions that mention such words.

The tuning set of evals/policy.jsonl was looked at while the rules were written; each holdout was written before it was
first measured.
When first measured, requests caught and questions left advisory: holdout 0.962 and 1.000, second 0.833 and 0.962, third
0.949 and 1.000. What they showed has since gone into the rules, so they now guard against falling back.
Both are printed with precision and recall (``pytest -s``); the goals are those that the product promises.
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


@pytest.mark.parametrize("name", ["tuning", "holdout", "holdout-2", "holdout-3"])
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
