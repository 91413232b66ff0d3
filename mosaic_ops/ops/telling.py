"""Findings as a person reads them."""

from __future__ import annotations

from collections.abc import Iterable

from mosaic_ops.ops import hints, show
from mosaic_ops.ops.diagnosis import Diagnosis
from mosaic_ops.ops.findings import Finding


def tell_findings(found: Iterable[Finding]) -> None:
    """A block for each: what is wrong in one line, then what it means, what to do, what to type."""
    for number, one in enumerate(found, 1):
        show.line("")
        show.prose(f"{number}. {one.what}", indent=3, style="bold red" if number == 1 else "bold")
        for name, text in (
            ("said", one.said),
            ("which", one.which),
            ("from", one.sender),
            ("means", one.says),
            ("do", one.do),
        ):
            if text:
                show.prose(f"   {name:<6} {text}", indent=10)
        # in one line, however long: it is copied
        show.line(f"   type   {one.command}")
        if one.then:
            show.line(f"   then   {one.then}")


def tell_what_now(found: Diagnosis, verb: str, wide: int) -> None:
    """What a story ends with: what it means, what to do, what to type; names in a column of that width."""
    for name, text in (("means", found.says), ("do", found.do)):
        show.prose(f"{name:<{wide}}  {text}", indent=wide + 2)
    for name, command in (("type", found.command if hints.leads_on(found.command, verb) else ""), ("then", found.then)):
        if command:
            show.line(f"{name:<{wide}}  {command}")
