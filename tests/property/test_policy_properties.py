"""What holds of the policy for every text: it never raises, and noise that a person does not see changes nothing."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from mosaic_core.domain.policy import (
    Assessment,
    Disposition,
    ImpactClass,
    assess_message,
    assess_text,
    normalise,
    proposed_action,
)

_PHRASES = (
    "send $50 to Bob",
    "please pay the rent",
    "can you cancel my subscription",
    "delete my data",
    "transfer 200 to savings",
    "let my landlord know the rent is late",
    "how much did I pay to Netflix",
    "show my transfers in May",
    "list payments over $100",
    "don't send anything",
    "what was my largest purchase",
    "überweise 20 Euro an Anna",
    "envía 50 euros a Juan",
    "cuánto pagué a Netflix",
    "the electricity bill needs to be paid",
)
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad"
_words = st.lists(st.sampled_from(" ".join(_PHRASES).split()), min_size=1, max_size=12).map(" ".join)
_texts = st.sampled_from(_PHRASES) | _words


@given(st.text(max_size=300), st.none() | st.text(max_size=80))
@settings(max_examples=150, deadline=None)
def test_never_raises_and_is_consistent(message: str, note: str | None) -> None:
    found = assess_message(message, note)
    assert (found.disposition == Disposition.APPROVAL_REQUIRED) == (found.action is not None)
    assert 0 <= found.confidence <= 1
    assert found.action is None or ImpactClass(found.action).needs_approval


@given(_texts, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_case_spacing_and_invisible_characters_change_nothing(message: str, rng: object) -> None:
    import random

    assert isinstance(rng, random.Random)
    noisy = ""
    for c in message:
        noisy += c.upper() if rng.random() < 0.5 and len(c.upper()) == 1 else c
        if c == " ":
            noisy += " " * rng.randrange(3) + rng.choice(["", "\t", "\u00a0"])
        if rng.random() < 0.3:
            noisy += rng.choice(_INVISIBLE)
    plain, disturbed = assess_message(message), assess_message("  " + noisy + " ")
    assert (plain.disposition, plain.action) == (disturbed.disposition, disturbed.action)


@given(_texts, _texts)
@example("is I", "send $50 to Bob")
@settings(max_examples=100, deadline=None)
def test_a_request_stays_one_whatever_stands_before_it(before: str, message: str) -> None:
    if assess_text(message).disposition == Disposition.APPROVAL_REQUIRED:
        assert assess_message(f"{before}. {message}").disposition == Disposition.APPROVAL_REQUIRED
        assert assess_message("How much did I spend?", message).disposition == Disposition.APPROVAL_REQUIRED


@given(st.text(min_size=1, max_size=200), st.sampled_from([i for i in ImpactClass if i.needs_approval]))
@settings(max_examples=100, deadline=None)
def test_a_proposed_action_is_bound_to_the_exact_text_and_repeats_none_of_it(text: str, impact: ImpactClass) -> None:
    assessment = Assessment(
        disposition=Disposition.APPROVAL_REQUIRED, action=impact.value, reason_code="r", rationale="r", confidence=0.9
    )
    action = proposed_action(text, assessment)
    assert len(action.summary) <= 200
    assert action == proposed_action(normalise(text), assessment)
    assert action.action_hash != proposed_action(text + " 5", assessment).action_hash
    assert len(text) < 12 or text.casefold() not in action.summary.casefold()
