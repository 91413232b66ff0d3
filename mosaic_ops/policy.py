"""``./mosaic policy``: the rules on proposed actions, and what a changed file of them would have decided.

Proposals are judged, and no sentences. Nothing is written anywhere, and no action's arguments are printed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from pydantic import BaseModel, ConfigDict, Field

from mosaic_core.domain.errors import ConfigurationError, StoreUnreachableError
from mosaic_core.domain.ids import normalise_guid
from mosaic_core.domain.lifecycle import Severity
from mosaic_core.domain.policy.actions import name_of
from mosaic_core.domain.policy.rules import RULES_FILE, PolicyEngine, default_policy, load
from mosaic_core.ports import Stores
from mosaic_ops import running
from mosaic_ops.evaluations import jsonlines
from mosaic_ops.evaluations.jsonlines import InputError
from mosaic_ops.policy_dry_run import LIMIT, Comparison, DryRun, Judgement, PolicyDryRun, judge_proposal
from mosaic_ops.running import NotReachableError

EXIT_CHANGED: Final = 1
EXIT_USAGE: Final = 2
EXIT_UNREACHABLE: Final = 3

app = typer.Typer(add_completion=False, no_args_is_help=True, help="The policy's rules, and changes of them.")


class _Line(BaseModel):
    """One line of ``--in``: a proposal with what is known of it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    action: Annotated[str, Field(min_length=1, max_length=120)]
    arguments: dict[str, Any] = {}
    confidence: Annotated[float, Field(ge=0, le=1)] = 1.0
    rows: Annotated[int, Field(ge=0)] | None = None
    severity: Annotated[Severity, Field(strict=False)] | None = None


@app.command()
def rules() -> None:
    """Print the rules file of this release: a start for a changed one."""
    typer.echo(RULES_FILE.read_text("utf-8"), nl=False)


@app.command("dry-run")
def dry_run(
    rules_file: Annotated[Path, typer.Option("--rules", metavar="FILE", help="The changed rules file")],
    household: Annotated[
        str | None, typer.Option(metavar="ID", help="Only this household; else those of the stack's sample members")
    ] = None,
    conversation: Annotated[str | None, typer.Option(metavar="ID", help="Only this conversation")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Commands of a conversation, newest first")] = LIMIT,
    source: Annotated[
        Path | None,
        typer.Option("--in", metavar="FILE", help="Proposals to judge instead of recorded ones, JSON Lines; no stack"),
    ] = None,
    state: Annotated[Path | None, typer.Option(file_okay=False, help="The stack's state folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Show what a changed rules file would have decided on the running stack's recorded proposals.

    Exit 0: nothing would change, 1: something would, 2: a file cannot be used, 3: there is no stack.
    """
    candidate = _candidate(rules_file)
    households = [_guid(household, "--household")] if household is not None else []
    wanted = _guid(conversation, "--conversation") if conversation is not None else None
    if source is not None:
        if households or wanted:
            raise typer.BadParameter("takes lines, and no recorded runs", param_hint="--in")
        _show_lines(_lines(source, candidate), candidate, as_json)
        return
    try:
        found = asyncio.run(_recorded(running.stores(state), candidate, households, wanted, limit))
    except (NotReachableError, StoreUnreachableError) as error:
        typer.echo(f"mosaic: {error}", err=True)
        raise typer.Exit(EXIT_UNREACHABLE) from None
    _show_runs(found, candidate, as_json)


# ------------------------------------------------------------------------------------------------------------- judging


def _candidate(path: Path) -> PolicyEngine:
    try:
        return load(path.read_text("utf-8"))
    except ConfigurationError as error:
        faults = "".join(f"\n  - {fault}" for fault in error.faults)
        typer.echo(f"mosaic: {path} cannot be used:{faults}", err=True)
    except (OSError, UnicodeDecodeError) as error:
        issue = (error.strerror or "error").lower() if isinstance(error, OSError) else "not UTF-8"
        typer.echo(f"mosaic: {path} cannot be read: {issue}", err=True)
    raise typer.Exit(EXIT_USAGE)


def _guid(text: str, option: str) -> str:
    try:
        return normalise_guid(text)
    except ValueError:
        raise typer.BadParameter("is no GUID", param_hint=option) from None


async def _recorded(
    opening: AbstractAsyncContextManager[Stores],
    candidate: PolicyEngine,
    households: Sequence[str],
    conversation: str | None,
    limit: int,
) -> DryRun:
    async with opening as stores:
        service = PolicyDryRun(stores, candidate)
        total = DryRun()
        for household in households or await running.sample_households(stores):
            total += await service.household(household, conversation, limit=limit)
        return total


def _lines(source: Path, candidate: PolicyEngine) -> list[tuple[int, Comparison]]:
    """(line number, what this release's file decides and what the candidate does)."""

    def judge(policy: PolicyEngine, line: _Line) -> Judgement:
        return judge_proposal(
            policy,
            line.action,
            line.arguments,
            confidence=line.confidence,
            rows=line.rows,
            severity=line.severity,
        )

    try:
        return [
            (
                number,
                Comparison(
                    judged=name_of(line.action),
                    recorded=judge(default_policy(), line),
                    candidate=judge(candidate, line),
                ),
            )
            for number, line in jsonlines.read(source, _Line)
        ]
    except InputError as error:
        typer.echo(f"mosaic: {error}", err=True)
        raise typer.Exit(EXIT_USAGE) from None


# ------------------------------------------------------------------------------------------------------------- showing


def _show_runs(found: DryRun, candidate: PolicyEngine, as_json: bool) -> None:
    summary = {
        "commands": found.commands,
        "decisions": len(found.comparisons),
        "changed": found.changed,
        "unknown": len(found.unknown),
        "undecided": found.undecided,
        "isComplete": found.is_complete,
    }
    if as_json:
        ids = ("run_id", "command_id", "household_id", "conversation_id")
        rows = [
            {**{_camel(name): getattr(one, name) for name in ids}, **_plain(one, "recorded")}
            for one in found.comparisons
        ]
        unknown = [{_camel(name): value for name, value in asdict(one).items()} for one in found.unknown]
        _print_json(candidate, summary, rows, unknown=unknown)
    else:
        _table(
            ("run", "command", "judged", "recorded", "candidate", ""),
            ((one.run_id, one.command_id, *_cells(one)) for one in found.comparisons),
        )
        for one in found.unknown:
            typer.echo(f"unknown: run {one.run_id}, {one.judged}: {one.why}")
        typer.echo(
            f"{found.changed} of {len(found.comparisons)} decisions of {found.commands} commands would change with "
            f"{candidate.version}; {len(found.unknown)} unknown; {found.undecided} commands without a decision"
        )
        if not found.is_complete:
            typer.echo("there are more commands than were looked at; --limit raises their number")
    if found.changed:
        raise typer.Exit(EXIT_CHANGED)


def _show_lines(found: Sequence[tuple[int, Comparison]], candidate: PolicyEngine, as_json: bool) -> None:
    changed = sum(one.changed for _, one in found)
    if as_json:
        rows = [{"line": number, **_plain(one, "builtIn")} for number, one in found]
        _print_json(candidate, {"decisions": len(found), "changed": changed}, rows)
    else:
        _table(("line", "judged", "built-in", "candidate", ""), ((str(number), *_cells(one)) for number, one in found))
        typer.echo(f"{changed} of {len(found)} decisions would change with {candidate.version}")
    if changed:
        raise typer.Exit(EXIT_CHANGED)


def _plain(one: Comparison, before: str) -> dict[str, Any]:
    def judgement(value: Judgement) -> dict[str, str]:
        return {_camel(name): text for name, text in asdict(value).items()}

    return {
        "judged": one.judged,
        before: judgement(one.recorded),
        "candidate": judgement(one.candidate),
        "changed": one.changed,
    }


def _cells(one: Comparison) -> Iterator[str]:
    yield one.judged
    for judgement, version in ((one.recorded, one.recorded.policy_version), (one.candidate, one.candidate.rule)):
        yield f"{judgement.decision} ({', '.join(filter(None, (judgement.reason, version)))})"
    yield "CHANGED" if one.changed else "same"


def _print_json(
    candidate: PolicyEngine, summary: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], **more: Any
) -> None:
    found = {"policyVersion": candidate.version, "summary": summary, "decisions": rows, **more}
    typer.echo(json.dumps(found, indent=2))


def _table(headings: Sequence[str], rows: Iterator[tuple[str, ...]]) -> None:
    """Columns as wide as what they hold, whatever the terminal: ids are there to be copied."""
    lines = [tuple(headings), *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)
