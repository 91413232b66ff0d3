"""The rules on proposed actions: versioned, and evaluated outside of any model. Pure.

An agent proposes; this decides what becomes of the proposal. The rules are data (``rules.toml``). What they cannot do
is in the code: apply an action that the app has no code for, or one with an impact beyond the household's own
annotations.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final

from mosaic_core.domain.errors import ConfigurationError
from mosaic_core.domain.lifecycle import Severity
from mosaic_core.domain.policy.actions import ACTIONS, EXECUTABLE, REQUEST, amounts, name_of, texts
from mosaic_core.domain.policy.hints import hint
from mosaic_core.domain.policy.impact import ImpactClass

RULES_FILE: Final = Path(__file__).with_name("rules.toml")


class Verdict(StrEnum):
    APPLY = "apply"
    APPROVE = "approve"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """An action to be judged: its name as proposed, its validated arguments, how sure the agent was (0 to 1), and what
    the app itself knows of it: how many rows it touches, the severity of the signal that it is about."""

    action: str
    arguments: Mapping[str, Any]
    confidence: float = 1.0
    rows: int = 0
    severity: Severity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What becomes of a proposal, by which rule. ``rationale`` holds nothing of the arguments' own text."""

    verdict: Verdict
    impact: ImpactClass
    rule: str
    reason_code: str
    rationale: str
    policy_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Fits where every condition that is set fits."""

    name: str
    verdict: Verdict
    reason: str
    actions: frozenset[str] = frozenset()
    impacts: frozenset[ImpactClass] = frozenset()
    severities: frozenset[Severity] = frozenset()
    rows_above: int | None = None
    amount_above: Decimal | None = None
    confidence_below: float | None = None
    text_asks_action: bool = False

    def fits(self, proposed: Proposed, action: str, impact: ImpactClass) -> bool:
        return (
            (not self.actions or action in self.actions)
            and (not self.impacts or impact in self.impacts)
            and (not self.severities or proposed.severity in self.severities)
            and (self.rows_above is None or proposed.rows > self.rows_above)
            and (self.confidence_below is None or proposed.confidence < self.confidence_below)
            and (self.amount_above is None or any(a > self.amount_above for a in amounts(proposed.arguments)))
            and (not self.text_asks_action or _asks_action(proposed.arguments))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyEngine:
    """One version of the policy. ``impacts`` are those of names that are no listed action's, and of listed ones that
    count as more than their own. An answer with less confidence than ``answer_threshold`` goes to a person."""

    version: str
    impacts: Mapping[str, ImpactClass]
    rules: Sequence[Rule]
    answer_threshold: float = 0.5

    def impact_of(self, action: str, arguments: Mapping[str, Any]) -> ImpactClass:
        """What the action counts as. A request in words is named by what it names; whatever that is, it is approved."""
        name = name_of(action)
        listed = ACTIONS[name].impact if name in ACTIONS else ImpactClass.UNLISTED_ACTION
        if name == REQUEST:
            return hint(*texts(arguments)) or listed
        return self.impacts.get(name, listed)

    def evaluate(self, proposed: Proposed) -> Ruling:
        """Never raises; what no rule fits goes to a person."""
        action, impact = name_of(proposed.action), self.impact_of(proposed.action, proposed.arguments)
        rule = next((r for r in self.rules if r.fits(proposed, action, impact)), _NO_RULE)
        verdict = rule.verdict
        if verdict == Verdict.APPLY and not _may_be_applied(action, impact):
            verdict = Verdict.APPROVE
        known = ACTIONS.keys() | self.impacts.keys()
        return Ruling(
            verdict=verdict,
            impact=impact,
            rule=rule.name,
            reason_code=rule.reason,
            rationale=f"{action if action in known else 'an unlisted action'} ({impact}) is to be "
            f"{_SAID[verdict]} "
            f"by rule {rule.name}",
            policy_version=self.version,
        )


def load(text: str) -> PolicyEngine:
    """A policy file. Raises ConfigurationError that names every fault."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([f"the policy file is no TOML: {error}"], about="policy file") from None
    faults: list[str] = []
    version = data.get("version")
    if not isinstance(version, str) or not 1 <= len(version) <= 80:
        faults.append("version is missing: a text of at most 80 characters")
    impacts = _impacts(_table(data, "impacts", faults), faults)
    rules = [_rule(number, rule, faults) for number, rule in enumerate(_list(data, "rules", "", faults), start=1)]
    thresholds = _table(data, "thresholds", faults)
    threshold = thresholds.get("answer", 0.5)
    if not _is_number(threshold) or not 0 <= threshold <= 1:
        faults.append("thresholds.answer is not a number from 0 to 1")
    faults += [f"thresholds.{name} is unknown" for name in sorted(set(thresholds) - {"answer"})]
    if "messages" in data:
        faults.append("messages is unknown: what a person says is judged by nothing, what an agent proposes is")
    unknown = set(data) - {"version", "impacts", "rules", "thresholds", "messages"}
    faults += [f"{name} is unknown" for name in sorted(unknown)]
    if faults:
        raise ConfigurationError(faults, about="policy file")
    return PolicyEngine(
        version=str(version),
        impacts=impacts,
        rules=tuple(r for r in rules if r is not None),
        answer_threshold=float(threshold),
    )


@cache
def default_policy() -> PolicyEngine:
    """The policy of this release."""
    return load(RULES_FILE.read_text("utf-8"))


_NO_RULE: Final = Rule(name="none", verdict=Verdict.APPROVE, reason="no_rule_fits")
_SAID: Final = {Verdict.APPLY: "applied", Verdict.APPROVE: "approved by a person first", Verdict.REFUSE: "refused"}
_CONDITIONS: Final = frozenset(
    "name verdict reason actions impacts severities rows_above amount_above confidence_below text_asks_action".split()
)


def _may_be_applied(action: str, impact: ImpactClass) -> bool:
    return action in EXECUTABLE and not impact.needs_approval


def _asks_action(arguments: Mapping[str, Any]) -> bool:
    found = [text for text in texts(arguments) if len(text.split()) > 1]
    # by itself, and with what stands beside it: an instruction may be cut in pieces
    return hint(*found, " ".join(found)) is not None


def _impacts(data: Mapping[str, Any], faults: list[str]) -> dict[str, ImpactClass]:
    found: dict[str, ImpactClass] = {}
    for name in data:
        impact = _one_of(ImpactClass, name, f"impacts.{name}", faults)
        for action in _list(data, name, "impacts.", faults):
            if impact is None or name_of(str(action)) != action:
                faults.append(f"impacts.{name}: {str(action)[:60]} is no action's name")
            elif not impact.needs_approval and action not in EXECUTABLE:
                faults.append(f"impacts.{name}: {action} can only be of a higher impact; the app has no code for it")
            elif found.setdefault(action, impact) != impact:
                faults.append(f"impacts.{name}: {action} is of {found[action]} already")
    return found


def _rule(number: int, data: Any, faults: list[str]) -> Rule | None:
    where = f"rules[{number}]"
    if not isinstance(data, Mapping):
        faults.append(f"{where} is no table")
        return None
    faults += [f"{where}: {key} is unknown" for key in sorted(set(data) - _CONDITIONS)]
    verdict = _one_of(Verdict, data.get("verdict"), f"{where}.verdict", faults)
    lists = {key: _list(data, key, f"{where}.", faults) for key in ("actions", "impacts", "severities")}
    impacts = [_one_of(ImpactClass, i, f"{where}.impacts", faults) for i in lists["impacts"]]
    severities = [_one_of(Severity, s, f"{where}.severities", faults) for s in lists["severities"]]
    for action in lists["actions"]:
        if name_of(str(action)) != action:
            faults.append(f"{where}.actions: {str(action)[:60]} is no action's name")
    amount = _amount(data.get("amount_above"))
    if "amount_above" in data and amount is None:
        faults.append(f"{where}.amount_above is no number")
    for key in ("rows_above", "confidence_below"):
        if key in data and not _is_number(data[key]):
            faults.append(f"{where}.{key} is no number")
    if not isinstance(data.get("text_asks_action", False), bool):
        faults.append(f"{where}.text_asks_action is neither true nor false")
    if verdict is None:
        return None
    return Rule(
        name=str(data.get("name", where))[:60],
        verdict=verdict,
        reason=str(data.get("reason", "policy_rule"))[:60],
        actions=frozenset(map(str, lists["actions"])),
        impacts=frozenset(i for i in impacts if i is not None),
        severities=frozenset(s for s in severities if s is not None),
        rows_above=data.get("rows_above"),
        amount_above=amount,
        confidence_below=data.get("confidence_below"),
        text_asks_action=data.get("text_asks_action") is True,
    )


def _table(data: Mapping[str, Any], name: str, faults: list[str]) -> Mapping[str, Any]:
    found = data.get(name, {})
    if isinstance(found, Mapping):
        return found
    faults.append(f"{name} is no table")
    return {}


def _list(data: Mapping[str, Any], name: str, where: str, faults: list[str]) -> list[Any]:
    found = data.get(name, [])
    if isinstance(found, list):
        return found
    faults.append(f"{where}{name} is no list")
    return []


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _amount(value: Any) -> Decimal | None:
    """The number, which may be written as text; None where it is none that can be compared with."""
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def _one_of[E: StrEnum](kind: type[E], value: Any, where: str, faults: list[str]) -> E | None:
    try:
        return kind(value)
    except ValueError:
        faults.append(f"{where} is none of {', '.join(kind)}")
        return None
