"""The baseline that an evaluation is held to: the headline numbers and each class's F1, per provider and pack."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from mosaic_core.domain.envelope import Model
from mosaic_ops.evaluations.jsonlines import InputError, replacing
from mosaic_ops.evaluations.packs import FOLDER, Evaluation

FILE: Final = FOLDER / "baseline.json"
_ROUNDING: Final = 0.00005
"""The file keeps four places."""


class PackBaseline(Model):
    """``figures`` by name, ``f1`` by class."""

    cases: int
    figures: dict[str, float]
    f1: dict[str, Annotated[float, Field(ge=0, le=1)]]

    @classmethod
    def of(cls, evaluation: Evaluation) -> PackBaseline:
        return cls(
            cases=evaluation.cases,
            figures={figure.name: round(figure.value, 4) for figure in evaluation.figures},
            f1={name: round(counts.f1.value, 4) for name, counts in evaluation.classes.items()},
        )


class Baseline(Model):
    """Packs by provider, then by name."""

    providers: dict[str, dict[str, PackBaseline]]


def read(path: Path = FILE) -> Baseline:
    """The stored baseline; an empty one where there is no file. Raises `InputError` where it is unreadable."""
    try:
        return Baseline.model_validate(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return Baseline(providers={})
    except (OSError, ValueError):
        raise InputError(path, "is no baseline; --update-baseline writes one") from None


def regressions(provider: str, evaluations: Sequence[Evaluation], baseline: Baseline) -> list[str]:
    """What got worse, and which promise is not kept; a sentence each.

    A pack without a baseline is held to its goals alone.
    """
    out = []
    for evaluation in evaluations:
        out += [
            f"{evaluation.pack}: {figure.name} is {figure.value:.4f}, the goal is {figure.goal}"
            for figure in evaluation.figures
            if not figure.met
        ]
        before = baseline.providers.get(provider, {}).get(evaluation.pack)
        if before is None:
            continue
        for figure in evaluation.figures:
            was = before.figures.get(figure.name)
            if was is not None and (was - figure.value) * (-1 if figure.lower_is_better else 1) > _ROUNDING:
                out.append(f"{evaluation.pack}: {figure.name} was {was:.4f}, is {figure.value:.4f}")
        for name, was in before.f1.items():
            counts = evaluation.classes.get(name)
            now = counts.f1.value if counts is not None else 0.0
            if was - now > _ROUNDING:
                out.append(f"{evaluation.pack}: F1 of {name} was {was:.4f}, is {now:.4f}")
    return out


def without(provider: str, evaluations: Sequence[Evaluation], baseline: Baseline) -> list[str]:
    """The packs that the provider has no baseline for."""
    return [e.pack for e in evaluations if e.pack not in baseline.providers.get(provider, {})]


def update(provider: str, evaluations: Sequence[Evaluation], path: Path = FILE) -> None:
    """Rewrites what was evaluated; other providers and packs stay."""
    try:
        providers = {name: dict(packs) for name, packs in read(path).providers.items()}
    except InputError:
        providers = {}
    mine = providers.setdefault(provider, {})
    mine.update({evaluation.pack: PackBaseline.of(evaluation) for evaluation in evaluations})
    text = json.dumps(Baseline(providers=providers).model_dump(by_alias=True), indent=2, sort_keys=True)
    with replacing(path) as file:
        file.write(text + "\n")
