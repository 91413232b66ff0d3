"""The rules on proposed actions: versioned, and evaluated outside of any model. Pure.

An agent proposes; this decides what becomes of the proposal. The rules are data (``rules.toml``). What they cannot do
is in the code: apply an action that the app has no code for, or one with an impact beyond the household's own
annotations.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

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


def _named(action: str) -> str:
    if name_of(action) != action:
        raise ValueError(f"is no action's name: {action[:60]}")
    return action


type _ActionName = Annotated[str, AfterValidator(_named)]
type _Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class _Table(BaseModel):
    """A table of the file, in which nothing else may stand."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Rule(_Table):
    """Fits where every condition that is set fits."""

    name: Annotated[str, Field(max_length=60)] = "unnamed"
    verdict: Verdict
    reason: Annotated[str, Field(max_length=60)] = "policy_rule"
    actions: list[_ActionName] = []
    impacts: list[ImpactClass] = []
    severities: list[Severity] = []
    rows_above: _Number | None = None
    amount_above: Decimal | None = None
    confidence_below: _Number | None = None
    text_asks_action: Annotated[bool, Field(strict=True)] = False

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


class _Thresholds(_Table):
    answer: Annotated[float, Field(strict=True, ge=0, le=1)] = 0.5


class PolicyEngine(_Table):
    """One version of the policy, as its file has it. ``impacts`` are those of names that are no listed action's, and of
    listed ones that count as more than their own. An answer with less confidence than ``answer_threshold`` goes to a
    person."""

    version: Annotated[str, Field(min_length=1, max_length=80)]
    impacts: dict[ImpactClass, list[_ActionName]] = {}
    rules: list[Rule] = []
    thresholds: _Thresholds = _Thresholds()

    @field_validator("impacts")
    @classmethod
    def _is_one_and_no_lower(cls, listed: dict[ImpactClass, list[str]]) -> dict[ImpactClass, list[str]]:
        of = Counter(action for actions in listed.values() for action in set(actions))
        lower = {action for impact, actions in listed.items() if not impact.needs_approval for action in actions}
        faults = [f"{action} has several" for action, impacts in of.items() if impacts > 1]
        faults += [f"{action} needs a higher one; the app has no code for it" for action in sorted(lower - EXECUTABLE)]
        if faults:
            raise ValueError(f"are not right: {'; '.join(faults)}")
        return listed

    @property
    def answer_threshold(self) -> float:
        return self.thresholds.answer

    def impact_of(self, action: str, arguments: Mapping[str, Any]) -> ImpactClass:
        """What the action counts as. A request in words is named by what it names; whatever that is, it is approved."""
        name = name_of(action)
        own = ACTIONS[name].impact if name in ACTIONS else ImpactClass.UNLISTED_ACTION
        if name == REQUEST:
            return hint(*texts(arguments)) or own
        return next((impact for impact, actions in self.impacts.items() if name in actions), own)

    def evaluate(self, proposed: Proposed) -> Ruling:
        """Never raises; what no rule fits goes to a person."""
        action, impact = name_of(proposed.action), self.impact_of(proposed.action, proposed.arguments)
        rule = next((r for r in self.rules if r.fits(proposed, action, impact)), _NO_RULE)
        verdict = rule.verdict
        if verdict == Verdict.APPLY and not _may_be_applied(action, impact):
            verdict = Verdict.APPROVE
        known = action in ACTIONS or any(action in actions for actions in self.impacts.values())
        said = action if known else "an unlisted action"
        return Ruling(
            verdict=verdict,
            impact=impact,
            rule=rule.name,
            reason_code=rule.reason,
            rationale=f"{said} ({impact}) is to be {_SAID[verdict]} by rule {rule.name}",
            policy_version=self.version,
        )


def load(text: str) -> PolicyEngine:
    """A policy file. Raises ConfigurationError that names every fault."""
    try:
        return PolicyEngine.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([f"the policy file is no TOML: {error}"], about="policy file") from None
    except ValidationError as error:
        faults = [_fault(e["loc"], e["type"], e["msg"]) for e in error.errors(include_url=False, include_input=False)]
        raise ConfigurationError(faults, about="policy file") from None


@cache
def default_policy() -> PolicyEngine:
    """The policy of this release."""
    return load(RULES_FILE.read_text("utf-8"))


_NO_RULE: Final = Rule(name="none", verdict=Verdict.APPROVE, reason="no_rule_fits")
_SAID: Final = {Verdict.APPLY: "applied", Verdict.APPROVE: "approved by a person first", Verdict.REFUSE: "refused"}
_FAULTS: Final = {"extra_forbidden": "is unknown", "missing": "is missing"}


def _may_be_applied(action: str, impact: ImpactClass) -> bool:
    return action in EXECUTABLE and not impact.needs_approval


def _asks_action(arguments: Mapping[str, Any]) -> bool:
    found = [text for text in texts(arguments) if len(text.split()) > 1]
    # by itself, and with what stands beside it: an instruction may be cut in pieces
    return hint(*found, " ".join(found)) is not None


def _fault(at: tuple[int | str, ...], kind: str, message: str) -> str:
    """What is wrong, after its place in the file: rules are counted from one."""
    where = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in at if part != "[key]")[1:]
    if where == "messages":
        return "messages is unknown: what a person says is judged by nothing, what an agent proposes is"
    said = message.removeprefix("Value error, ").removeprefix("Input ").partition(" or instance of ")[0]
    return f"{where} {_FAULTS.get(kind, said)}"
