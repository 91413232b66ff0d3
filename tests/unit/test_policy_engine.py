"""The policy on proposals: rules decide, and no rules file can loosen what the code holds."""

from __future__ import annotations

import re
import tomllib
from time import process_time
from typing import Any

import pytest

from mosaic_core.domain.errors import ConfigurationError
from mosaic_core.domain.lifecycle import Severity
from mosaic_core.domain.policy import POLICY_VERSION, ImpactClass, hint
from mosaic_core.domain.policy.actions import (
    ACTIONS,
    EXECUTABLE,
    REQUEST,
    InvalidProposalError,
    canonical,
    name_of,
    validated,
)
from mosaic_core.domain.policy.hints import HINTS_FILE, patterns
from mosaic_core.domain.policy.rules import RULES_FILE, Proposed, Verdict, default_policy, load

ROWS = {"transactionIds": ["t1"], "category": "TRAVEL"}


def verdict(action: str, arguments: dict[str, Any] | None = None, **known: Any) -> tuple[Verdict, str]:
    ruling = default_policy().evaluate(Proposed(action=action, arguments=arguments or {}, **known))
    return ruling.verdict, ruling.reason_code


def test_the_version_is_the_rules_files() -> None:
    assert f'version = "{POLICY_VERSION}"' in RULES_FILE.read_text("utf-8")


@pytest.mark.parametrize(
    ("action", "arguments", "known", "expected"),
    [
        ("recategorise", ROWS, {"rows": 1}, (Verdict.APPLY, "low_impact")),
        ("Recategorise ", ROWS, {"rows": 25}, (Verdict.APPLY, "low_impact")),
        ("recategorise", ROWS, {"rows": 26}, (Verdict.APPROVE, "many_rows")),
        ("recategorise", ROWS, {"rows": 1, "confidence": 0.49}, (Verdict.APPROVE, "low_confidence")),
        ("mark_recurring", {"transactionIds": ["t1"]}, {"rows": 1}, (Verdict.APPLY, "low_impact")),
        ("dismiss_signal", {}, {"severity": Severity.WARNING}, (Verdict.APPLY, "low_impact")),
        ("dismiss_signal", {}, {"severity": Severity.ERROR}, (Verdict.APPROVE, "grave_signal")),
        ("dismiss_signal", {}, {"severity": Severity.CRITICAL}, (Verdict.APPROVE, "grave_signal")),
        ("budget_note", {"text": "less coffee", "amount": "10000"}, {}, (Verdict.APPLY, "low_impact")),
        ("budget_note", {"text": "less coffee", "amount": "10000.01"}, {}, (Verdict.APPROVE, "large_amount")),
        ("budget_note", {"text": "wire 900 to Bob now"}, {}, (Verdict.APPROVE, "arguments_ask_action")),
        ("dismiss_signal", {"note": "and e-mail my bank"}, {}, (Verdict.APPROVE, "arguments_ask_action")),
        ("draft_message", {"recipient": "x", "body": "hello"}, {}, (Verdict.APPROVE, "high_impact")),
        ("wire", {"amount": 1}, {"confidence": 1.0}, (Verdict.APPROVE, "high_impact")),
        ("SEND-EMAIL", {}, {}, (Verdict.APPROVE, "high_impact")),
        ("teleport", {}, {}, (Verdict.APPROVE, "high_impact")),
        ("", {}, {}, (Verdict.APPROVE, "high_impact")),
        ("rеcategorise", ROWS, {}, (Verdict.APPROVE, "high_impact")),  # a Cyrillic letter: another name
        ("ｒecategorise", ROWS, {}, (Verdict.APPLY, "low_impact")),  # the same name in another width
    ],
)
def test_verdicts(action: str, arguments: dict[str, Any], known: dict[str, Any], expected: tuple[Verdict, str]) -> None:
    assert verdict(action, arguments, **known) == expected


@pytest.mark.parametrize("action", ["wire", "draft_message", "delete", "teleport", "close_account", "x" * 500, "…"])
@pytest.mark.parametrize("confidence", [0.0, 1.0])
def test_no_rules_file_lets_the_app_do_more_than_annotate(action: str, confidence: float) -> None:
    loose = load('version = "loose"\n[[rules]]\nname = "all"\nverdict = "apply"\nreason = "yes"')
    assert loose.evaluate(Proposed(action=action, arguments={}, confidence=confidence)).verdict == Verdict.APPROVE


def test_without_a_rule_a_person_decides() -> None:
    bare = load('version = "bare"\n[impacts]\nproposal = ["recategorise"]')
    ruling = bare.evaluate(Proposed(action="recategorise", arguments=ROWS))
    assert (ruling.verdict, ruling.reason_code, ruling.policy_version) == (Verdict.APPROVE, "no_rule_fits", "bare")


def test_a_file_can_ask_for_more() -> None:
    strict = load('version = "1"\n[impacts]\ndeletion = ["recategorise"]\n[[rules]]\nverdict = "apply"')
    ruling = strict.evaluate(Proposed(action="recategorise", arguments=ROWS))
    assert (ruling.verdict, ruling.impact) == (Verdict.APPROVE, ImpactClass.DELETION)


@pytest.mark.parametrize("words", ["Wire 900 to Bob.", "What did I spend?", "Nothing of the kind.", "…"])
def test_a_request_in_words_always_waits_whatever_it_names(words: str) -> None:
    loose = load('version = "loose"\n[impacts]\nread_only = ["budget_note"]\n[[rules]]\nverdict = "apply"')
    for policy in (loose, default_policy()):
        ruling = policy.evaluate(Proposed(action=REQUEST, arguments={"message": words}))
        assert ruling.verdict == Verdict.APPROVE
        assert ruling.impact == (hint(words) or ImpactClass.UNLISTED_ACTION)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("version = 1", "version should be a valid string"),
        ("rules = []", "version is missing"),
        ("x", "no TOML"),
        ('version = "1"\n[impacts]\nproposal = ["wire"]', "the app has no code for it"),
        ('version = "1"\n[impacts]\nproposal = ["Wire Now!"]', "impacts.proposal[1] is no action's name"),
        ('version = "1"\n[impacts]\nharmless = ["wire"]', "impacts.harmless should be 'read_only'"),
        ('version = "1"\n[[rules]]\nname = "a"\nverdict = "maybe"', "rules[1].verdict should be 'apply'"),
        ('version = "1"\n[[rules]]\nverdict = "apply"\nif = "x"', "rules[1].if is unknown"),
        (
            'version = "1"\n[[rules]]\nverdict = "apply"\namount_above = "much"',
            "amount_above should be a valid decimal",
        ),
        ('version = "1"\n[[rules]]\nverdict = "apply"\nrows_above = "many"', "rows_above should be a valid number"),
        ('version = "1"\n[[messages]]\npattern = "x"\nimpact = "deletion"', "messages is unknown: what a person says"),
        ('version = "1"\n[impacts]\nread_only = ["request"]', "the app has no code for it"),
        ('version = "1"\n[thresholds]\nanswer = 7', "thresholds.answer should be less than or equal to 1"),
        ('version = "1"\nrule = []', "rule is unknown"),
        ('version = "1"\nimpacts = 3', "impacts should be a valid dictionary"),
        ('version = "1"\nrules = "all"', "rules should be a valid list"),
        ('version = "1"\nrules = ["all"]', "rules[1] should be a valid dictionary"),
        ('version = "1"\nthresholds = 3', "thresholds should be a valid dictionary"),
        ('version = "1"\n[thresholds]\nanswer = true', "thresholds.answer should be a valid number"),
        ('version = "1"\n[thresholds]\nanwser = 0.5', "thresholds.anwser is unknown"),
        ('version = "1"\n[impacts]\ndeletion = "delete"', "impacts.deletion should be a valid list"),
        ('version = "1"\n[impacts]\ndeletion = ["cancel"]\npayee_change = ["cancel"]', "cancel has several"),
        ('version = "1"\n[[rules]]\nverdict = "apply"\nactions = "wire"', "rules[1].actions should be a valid list"),
        ('version = "1"\n[[rules]]\nverdict = "apply"\nactions = ["Wire Now!"]', "actions[1] is no action's name"),
        ('version = "1"\n[[rules]]\nverdict = "apply"\namount_above = nan', "amount_above should be a finite number"),
        ('version = "1"\n[[rules]]\nverdict = "apply"\nconfidence_below = inf', "below should be a finite number"),
        ('version = "1"\n[[rules]]\nverdict = "apply"\ntext_asks_action = "no"', "action should be a valid boolean"),
    ],
)
def test_a_faulty_file_is_named(text: str, fault: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load(text)
    assert any(fault in line for line in raised.value.faults)


# --------------------------------------------------------------------------------------------------------------- hints

FILE = tomllib.loads(HINTS_FILE.read_text("utf-8"))


@pytest.mark.parametrize("name", FILE["patterns"])
def test_every_pattern_is_reached_by_its_case(name: str) -> None:
    missed = [
        (written, case) for written, case in patterns(name) if not case or not re.search(written, case, re.IGNORECASE)
    ]
    assert missed == []


POLITE = [case for _, case in patterns("polite") if case != "go ahead" and not case.endswith("paying")]


@pytest.mark.parametrize("opening", [*POLITE, *FILE["words"]["requests"], "go ahead and", "do me a favour and"])
def test_whoever_asks_politely_orders(opening: str) -> None:
    assert hint(f"{opening} cancel Netflix") == hint(f"So, {opening} cancel Netflix?") == "subscription_change"


@pytest.mark.parametrize("wish", FILE["words"]["wishes"])
def test_a_wish_orders_where_nothing_is_asked(wish: str) -> None:
    assert hint(f"{wish} cancel Netflix") == "subscription_change"
    assert hint(f"{wish} cancel Netflix. What does it cost?") is None


@pytest.mark.parametrize("opening", FILE["words"]["openings"])
def test_an_opening_makes_it_neither_more_nor_less_of_an_order(opening: str) -> None:
    assert hint(f"{opening} cancel Netflix") == "subscription_change"
    assert hint(f"{opening} when did I cancel Netflix") is None


@pytest.mark.parametrize(("slip", "verb"), FILE["slips"].items())
def test_a_slip_of_the_finger_is_the_verb(slip: str, verb: str) -> None:
    assert hint(f"{slip} the $50 to Bob") == hint(f"{verb} the $50 to Bob") is not None


@pytest.mark.parametrize(
    ("text", "impact"),
    [
        ('Cancel "Dropbox Plus" today.', "subscription_change"),
        ("transfer twenty dollars to Ben", "money_movement"),
        ("Send me the $50.", "money_movement"),
        ("Send me the 10 largest charges", None),
        ("I'd be glad if you paid the plumber", "money_movement"),
        ("would you mind cancelling Hulu?", "subscription_change"),
        ("Paying the rent hurts", None),
        ("Pay, please, my Visa in full", "money_movement"),
        ("please don't forget to pay the gas company", "money_movement"),
        ("pay$20 to Kim", "money_movement"),
        ("Delete last month's notes", "deletion"),
        ("Pay last month", None),
        ("Arrange payment of $50 to Bob", "money_movement"),
        ("Make sure my rent gets paid on Monday.", "money_movement"),
        ("On the first of every month pay Bob", "money_movement"),
        ("I want my account closed", "subscription_change"),
        ("Can you get the rent paid?", "money_movement"),
        ("Did I get the rent paid?", None),
        ("Can you pay bills?", None),
        ("Can you pay my bills?", "money_movement"),
        ("refund the Uber charge", "money_movement"),
        ("sell all my VTI", "money_movement"),
    ],
)
def test_what_a_text_names(text: str, impact: str | None) -> None:
    assert hint(text) == impact


@pytest.mark.parametrize(
    "text",
    [
        "my landlord wrote: transfer $900",
        "My landlord texted me “please send $1650 by Friday”",
        "Jake said, pay him $40. Then cancel the gym",
        'Here is the email I got: "Dear customer, pay $499 to renew. Then send us $20"',
        "a text from my bank: transfer $60 to keep your account open",
        "Subject: Invoice 22\nPlease pay $840 to Acme Corp",
        "> please wire $840 to Acme",
        "Dear customer, pay $499 today",
        "Imagine you could move money. Would you transfer $100 to savings?",
        "would you cancel Netflix if you were me?",
        '"Your account is locked. Send $50 to unlock it." - got this today',
        "Jake: hey can you venmo me 25",
    ],
)
def test_what_others_said_or_what_is_imagined_orders_nothing(text: str) -> None:
    assert hint(text) is None


@pytest.mark.parametrize(
    "text",
    [
        'Jake said "thanks", so pay him $40',
        "I said: pay the rent",
        "as I told you: pay the rent",
        "text my mom: rent is late",
        "Mosaic: pay me back $20 from savings",
        "Rent: pay it today, send my landlord $900",
        "email my landlord from work: rent is late",
        "my landlord wrote. Pay him $900",
    ],
)
def test_whoever_is_named_beside_an_order_takes_nothing_from_it(text: str) -> None:
    assert hint(text) is not None


@pytest.mark.parametrize("text", ["\n" * 4000, "said" + " " * 4000, ".\n" * 2000, "got email " * 400])
def test_what_is_not_ones_own_is_told_in_one_pass(text: str) -> None:
    """Blanks that two parts of a pattern may share take seconds."""
    began = process_time()
    hint(text)
    assert process_time() - began < 1


# ----------------------------------------------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("action", "arguments"),
    [
        ("recategorise", {}),
        ("recategorise", {"transactionIds": [], "category": "TRAVEL"}),
        ("recategorise", {"transactionIds": ["t"] * 101, "category": "TRAVEL"}),
        ("recategorise", {"transactionIds": ["t"], "category": "FUN"}),
        ("recategorise", {"transactionIds": "t", "category": "TRAVEL"}),
        ("recategorise", ROWS | {"householdId": "b0b"}),
        ("recategorise", ROWS | {"action": "wire", "amount": 5}),
        ("mark_recurring", {"transactionIds": ["t"], "cadence": "hourly"}),
        ("dismiss_signal", {"signalId": "../x"}),
        ("budget_note", {"text": ""}),
        ("budget_note", {"text": "x", "amount": "-5"}),
        ("budget_note", {"text": "x", "amount": "5", "currency": "ABC"}),
        ("budget_note", {"text": "x" * 301}),
        ("draft_message", {"body": "to nobody"}),
        ("draft_message", {"recipient": "x", "body": "y", "channel": "pigeon"}),
        ("teleport", {"where": "x" * 9000}),
        ("teleport", {"where": float("nan")}),
        ("teleport", {"a": {"b": {"c": {"d": {"e": {"f": {"g": 1}}}}}}}),
    ],
)
def test_arguments_that_are_not_the_actions_are_refused(action: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidProposalError):
        validated(action, arguments)


def test_what_a_person_reads_is_what_is_hashed() -> None:
    hidden = {"recipient": "land\u200blord\u202e", "body": "rent\u00a0is  due"}
    assert validated("draft_message", hidden) == {"recipient": "landlord", "body": "rent is due", "channel": "email"}
    ids = validated("recategorise", {"transactionIds": ["b", "a", "b"], "category": "TRAVEL"})
    assert ids == {"transactionIds": ["a", "b"], "category": "TRAVEL"}
    assert canonical("x", {"b": 1, "a": "é"}) == '{"action":"x","arguments":{"a":"é","b":1}}'


def test_a_refusal_names_fields_and_no_values() -> None:
    with pytest.raises(InvalidProposalError) as raised:
        validated("recategorise", {"transactionIds": ["secret-id"], "category": "secret category"})
    assert "category" in raised.value.rationale
    assert "secret" not in raised.value.rationale


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_says_what_is_asked_for_and_no_argument_is_missing_in_it(action: str) -> None:
    model = ACTIONS[action]
    optional = set(re.findall(r"\[[^\]]*\{(\w+)\}", model.said))
    said = set(re.findall(r"\{(\w+)\}", model.said)) - {"rows"}
    assert optional == {name for name in said if model.model_fields[name].default is None}
    assert "{rows}" not in model.said or "transaction_ids" in model.model_fields


def test_every_action_that_the_app_executes_is_listed_with_its_arguments() -> None:
    assert set(ACTIONS) > EXECUTABLE
    assert all(name_of(name) == name for name in ACTIONS)
    assert {name for name, model in ACTIONS.items() if not model.impact.needs_approval} == EXECUTABLE
    assert all(impact.needs_approval for impact in default_policy().impacts)
