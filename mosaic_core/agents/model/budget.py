"""What one run may spend at its provider: rounds, tool calls, tokens and time. Pure but for the clock it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mosaic_core.domain.errors import MosaicError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one run, resumptions included; ``seconds`` are those of one turn, since a person may think for days."""

    rounds: int
    tool_calls: int
    tokens: int
    seconds: float


class BudgetSpentError(MosaicError):
    """The run has used up what it may. ``what`` names the limit."""

    code = "budget_spent"

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(slots=True)
class Budget:
    """Counts as it goes. `before_round` and `tool_call` are asked first; `after_round` is told what was used."""

    limits: Limits
    now: Callable[[], float]
    rounds: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    retries: int = 0
    ends_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.ends_at = self.now() + self.limits.seconds

    @property
    def seconds_left(self) -> float:
        return max(0.0, self.ends_at - self.now())

    @property
    def last_round(self) -> bool:
        """The round under way is the last that may be had: it has to end in an answer."""
        return self.rounds >= self.limits.rounds

    def before_round(self, expected_tokens: int) -> None:
        """Raises BudgetSpentError where there is no further round, or the request alone would exceed the tokens."""
        if self.rounds >= self.limits.rounds:
            raise BudgetSpentError("rounds")
        if self.input_tokens + self.output_tokens + expected_tokens > self.limits.tokens:
            raise BudgetSpentError("tokens")
        self.rounds += 1

    def after_round(self, input_tokens: int, output_tokens: int) -> None:
        self.input_tokens += input_tokens
        self.output_tokens += output_tokens

    def tool_call(self) -> bool:
        """False: there is none left, and the tool is not to be run."""
        if self.tool_calls >= self.limits.tool_calls:
            return False
        self.tool_calls += 1
        return True

    def usage(self) -> dict[str, int]:
        return {
            "rounds": self.rounds,
            "tool_calls": self.tool_calls,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "retries": self.retries,
        }

    def carry(self, spent: Mapping[str, int]) -> None:
        """Go on from what the run had used before."""
        self.rounds += spent.get("rounds", 0)
        self.tool_calls += spent.get("tool_calls", 0)
        self.input_tokens += spent.get("input_tokens", 0)
        self.output_tokens += spent.get("output_tokens", 0)
        self.retries += spent.get("retries", 0)
