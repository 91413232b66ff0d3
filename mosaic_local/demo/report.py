"""What the demo prints: progress, each command's journey, each promise, and where everything is stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mosaic_core.domain.lanes import RULES
from mosaic_local.demo.journey import Journey
from mosaic_local.demo.promises import Check
from mosaic_local.stack import Stack

_TABLE_WIDTH = 120
_LANES = {rules.default_queue: lane.value for lane, rules in RULES.items()}


class Report:
    def __init__(self, console: Console | None = None) -> None:
        # a log or a pipe has no width of its own; the table needs one that does not break its cells
        self._console = console or Console(width=None if Console().is_terminal else 150, highlight=False)
        self._checks: list[Check] = []

    @property
    def good(self) -> bool:
        return bool(self._checks) and all(check.holds for check in self._checks)

    def say(self, line: str) -> None:
        self._console.print(escape(line))

    def started(self, stack: Stack) -> None:
        self.say(f"The stack runs (started in {stack.start_seconds:.1f} s): API {stack.api_base_url}")
        self._console.print(
            "[bold yellow]DRILLS ARE ON[/] (Drill__Enabled): commands of this stack can be made to fail on purpose."
        )

    def check(self, checks: Iterable[Check]) -> None:
        self._checks.extend(checks)

    def journeys(self, journeys: Sequence[Journey]) -> None:
        """A table where it fits, else a block for each command."""
        if self._console.width < _TABLE_WIDTH:
            self._blocks(journeys)
            return
        table = Table(title="What became of each command", show_lines=True, title_justify="left")
        for column in ("lane", "command", "run", "stages (attempt/name: outcome)", "key", "settlement", "signal"):
            table.add_column(column, overflow="fold")
        for journey in journeys:
            table.add_row(*map(escape, _row(journey)))
        self._console.print()
        self._console.print(table)

    def _blocks(self, journeys: Sequence[Journey]) -> None:
        self._console.print("\nWhat became of each command")
        for journey in journeys:
            step, command, *cells = _row(journey)
            self._console.print(f"\n[bold]{escape(step.replace(chr(10), ' · '))}[/] {escape(command)}")
            for name, cell in zip(("run", "stages", "key", "settlement", "signal"), cells, strict=True):
                first, *more = cell.splitlines()
                self._console.print(
                    f"  {name:<11}{escape(first)}", *(f"  {'':<11}{escape(line)}" for line in more), sep="\n"
                )

    def where(self, stack: Stack, *, kept: bool) -> None:
        self._console.print()
        self.say("Where it is stored")
        for what, place in (
            ("runs, stages, signals, keys", "Table Storage: AgentRuns, AgentRunStages, AgentSignals, IdempotencyKeys"),
            ("the ledger", "Table Storage: LedgerTransactions"),
            ("commands as received, approvals, audit", "AgentCommands, AgentApprovals, AgentDecisionAudit"),
            ("telemetry", "Event Hub runtime-telemetry-stream; spans and logs under the state folder"),
            ("state folder", f"{stack.state_dir} ({'kept' if kept else 'removed now; keep it with --state DIR'})"),
        ):
            self._console.print(f"  {what:<40} {escape(place)}")

    def verdict(self, seconds: float) -> None:
        self._console.print()
        bad = [check for check in self._checks if not check.holds]
        for check in bad:
            self._console.print(f"[bold red]✗[/] {escape(check.promise)}\n    {escape(check.seen)}")
        held = len(self._checks) - len(bad)
        style = "bold green" if self.good else "bold red"
        self._console.print(f"[{style}]{held} of {len(self._checks)} promises held[/] in {seconds:.1f} s")

    def promises(self) -> None:
        """Every check that held so far, one line each."""
        self._console.print()
        self.say("What was promised and holds")
        for check in self._checks:
            if check.holds:
                self._console.print(f"  [green]✓[/] {escape(check.promise)}")


def _row(journey: Journey) -> list[str]:
    run, key = journey.run, journey.key
    stages = "\n".join(f"{s.attempt}/{s.name}: {s.outcome_code}" for s in journey.stages)
    signals = "\n".join(
        f"{s.signal_code} ({'resolved: ' + (s.resolution_note or '') if s.is_resolved else 'open'})"
        for s in journey.signals[:4]
    )
    more = f"\n… {len(journey.signals) - 4} more" if len(journey.signals) > 4 else ""
    status = f"{run.status}{f' ({run.failure_code})' if run.failure_code else ''}" if run else "–"
    return [
        f"{_LANES.get(journey.sent.queue, journey.sent.queue)}\n{journey.sent.step}",
        f"{journey.sent.command_id[:8]}…",
        status,
        stages or "–",
        str(key.status) if key else "–",
        journey.settlement,
        (signals + more) or "–",
    ]
