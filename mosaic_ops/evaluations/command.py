"""``./mosaic eval``: judge the agents on labelled packs, or have them predict on data of one's own."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Final

import typer

from mosaic_core.domain.errors import ConfigurationError, LaneError
from mosaic_ops.evaluations import baseline, files, jsonlines
from mosaic_ops.evaluations.jsonlines import InputError
from mosaic_ops.evaluations.packs import PACKS, Evaluation, evaluate
from mosaic_ops.evaluations.predict import Kind
from mosaic_ops.evaluations.providers import OFFLINE, PROVIDERS, Provider, provider

EXIT_REGRESSION: Final = 1
EXIT_USAGE: Final = 2
EXIT_UNREACHABLE: Final = 3
_WIDTH: Final = 110
_SHOWN: Final = 5
"""How many misses of a pack are printed; --json has them all."""

app = typer.Typer(add_completion=False, help="Labelled evaluations of the agents, and predictions on your own data.")

_Pack = Annotated[
    list[str] | None, typer.Option("--pack", metavar="NAME", help=f"Only this pack: {', '.join(PACKS)}; repeatable")
]
_Provider = Annotated[
    str,
    typer.Option(
        "--provider",
        metavar="NAME",
        help=f"Whose answers: {', '.join(PROVIDERS)} (a model by the app's Agent__* settings)",
    ),
]
_Json = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write the results here")]
_Update = Annotated[bool, typer.Option("--update-baseline", help="Take these results as the baseline")]


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    pack: _Pack = None,
    provider_name: _Provider = OFFLINE,
    json_file: _Json = None,
    update_baseline: _Update = False,
) -> None:
    """Without a command: run."""
    if context.invoked_subcommand is None:
        run(pack, provider_name, json_file, update_baseline)


@app.command()
def run(
    pack: _Pack = None, provider_name: _Provider = OFFLINE, json_file: _Json = None, update_baseline: _Update = False
) -> None:
    """Run the labelled packs. Exit 1 where a goal is missed or something got worse than evals/baseline.json.

    Packs that ask no agent are the rules' own, whoever the provider. Exit 2 names the settings that are missing, 3 a
    provider that does not answer.
    """
    unknown = [name for name in pack or () if name not in PACKS]
    if unknown:
        raise typer.BadParameter(f"no such pack: {unknown[0]} (there are: {', '.join(PACKS)})", param_hint="--pack")
    chosen = _provider(provider_name)
    worse: list[str] = []
    unknown_before: list[str] = []
    try:
        evaluations = []
        for name in dict.fromkeys(pack or PACKS):
            evaluations.append(evaluate(name, chosen.agents))
            _show(evaluations[-1])
        stored = baseline.read() if not update_baseline else None
        for whose, its in _by_provider(evaluations, chosen.name).items():
            if stored is None:
                baseline.update(whose, its)
                typer.echo(f"baseline of {whose} rewritten: {', '.join(e.pack for e in its)}")
                continue
            worse += baseline.regressions(whose, its, stored)
            if new := baseline.without(whose, its, stored):
                unknown_before += new
                typer.echo(
                    f"no baseline of {whose} for {', '.join(new)}: held to the goals alone; "
                    "--update-baseline takes these results as one"
                )
        if json_file is not None:
            _write(json_file, chosen, evaluations, worse, unknown_before)
    except InputError as error:
        raise _usage(error) from None
    except LaneError as error:
        raise _unreachable(error) from None
    for line in worse:
        typer.echo(f"worse: {line}", err=True)
    if worse:
        raise typer.Exit(EXIT_REGRESSION)


@app.command()
def predict(
    kind: Annotated[Kind, typer.Argument(help="What to predict")],
    source: Annotated[Path, typer.Option("--in", metavar="FILE", help="JSON Lines to predict on")],
    target: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the predictions go, JSON Lines")],
    ledger: Annotated[
        Path | None, typer.Option("--ledger", metavar="FILE", help="The household's ledger (questions, messages)")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="DATE", help="The day to judge from; else the ledger's last")
    ] = None,
    provider_name: _Provider = OFFLINE,
) -> None:
    """Predict through the code that the lanes run.

    A line that cannot be used is named with its number and field (exit 2), and FILE stays as it was.
    """
    if kind in (Kind.QUESTIONS, Kind.MESSAGES) and ledger is None:
        raise typer.BadParameter(f"{kind} need a ledger", param_hint="--ledger")
    day = _day(as_of)
    chosen = _provider(provider_name)
    try:
        count = files.run(kind, source, target, ledger=ledger, as_of=day, agents=chosen.agents)
    except InputError as error:
        raise _usage(error) from None
    except LaneError as error:
        raise _unreachable(error) from None
    typer.echo(f"{count} lines written to {target}", err=True)


def _provider(name: str) -> Provider:
    if name not in PROVIDERS:
        raise typer.BadParameter(
            f"no such provider: {name} (there are: {', '.join(PROVIDERS)})", param_hint="--provider"
        )
    try:
        return provider(name, os.environ)
    except ConfigurationError as error:
        typer.echo(f"mosaic: {error}", err=True)
        raise typer.Exit(EXIT_USAGE) from None


def _by_provider(evaluations: Sequence[Evaluation], name: str) -> dict[str, list[Evaluation]]:
    """The evaluations by whose result they are: what asks no agent is the rules', which the offline provider has."""
    found: dict[str, list[Evaluation]] = {}
    for evaluation in evaluations:
        found.setdefault(name if PACKS[evaluation.pack].asks_the_agent else OFFLINE, []).append(evaluation)
    return found


def _unreachable(error: LaneError) -> typer.Exit:
    typer.echo(f"mosaic: {error.code}: {error.rationale}", err=True)
    return typer.Exit(EXIT_UNREACHABLE)


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("is not a date such as 2026-01-31", param_hint="--as-of") from None


def _usage(error: InputError) -> typer.Exit:
    typer.echo(f"mosaic: {error}", err=True)
    return typer.Exit(EXIT_USAGE)


def _show(evaluation: Evaluation) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(
        box=SIMPLE_HEAD,
        title=f"{evaluation.pack}: {evaluation.cases} cases, {evaluation.seconds:.1f} s",
        title_justify="left",
    )
    for heading in ("class", "cases", "precision", "recall", "F1 (95 % interval)"):
        table.add_column(heading, justify="left" if heading == "class" else "right", no_wrap=True)
    for name, counts in evaluation.classes.items():
        measures = (counts.precision, counts.recall, counts.f1)
        shown = (f"{m.value:.3f} ({m.low:.2f}–{m.high:.2f})" for m in measures)
        table.add_row(name, str(counts.true_positives + counts.false_negatives), *shown)
    console = Console(highlight=False)
    console.width = max(console.width, _WIDTH)
    console.print(table)
    for figure in evaluation.figures:
        goal = "" if figure.goal is None else f" (goal {'≤' if figure.lower_is_better else '≥'} {figure.goal:g})"
        typer.echo(f"  {figure.name}: {figure.value:.3f}{goal}{'' if figure.met else '  NOT MET'}")
    for miss in evaluation.misses[:_SHOWN]:
        typer.echo(f"  - {miss}")
    if len(evaluation.misses) > _SHOWN:
        typer.echo(f"  and {len(evaluation.misses) - _SHOWN} more; --json FILE has them all")
    typer.echo("")


def _write(
    path: Path, chosen: Provider, evaluations: Sequence[Evaluation], worse: Sequence[str], new: Sequence[str]
) -> None:
    result = {
        "provider": chosen.name,
        "source": chosen.source,
        "packs": [evaluation.plain() for evaluation in evaluations],
        "regressions": list(worse),
        "withoutBaseline": list(new),
    }
    with jsonlines.replacing(path) as file:
        file.write(json.dumps(result, ensure_ascii=False, indent=2) + "\n")
