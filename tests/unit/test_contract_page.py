"""docs/contract.md says what the code does: each of its tables beside what it is a table of."""

from __future__ import annotations

import re
from enum import StrEnum

import pytest

from mosaic_core.domain.envelope import _Header
from mosaic_core.domain.lanes import RULES
from mosaic_core.domain.lifecycle import AttemptOutcome, DecisionOutcome, KeyStatus, RunStatus, Severity, StageStatus
from mosaic_core.entrypoints.asyncapi import EVENTS
from mosaic_core.entrypoints.http.answers import CODES
from mosaic_core.entrypoints.http.call import PREFIX
from mosaic_core.entrypoints.http.routes import ROUTES
from mosaic_ops.cli import COMMANDS
from tests.support.contract import code, section, table


def test_lanes_queues_and_command_types_are_the_codes() -> None:
    written = {cells[0]: (code(cells[1]), set(code(cells[2]))) for cells in table(1, "lane")}
    assert written == {
        lane.value: ([rules.default_queue], {kind.value for kind in rules.command_types})
        for lane, rules in RULES.items()
    }


def test_the_envelope_s_fields_are_the_codes() -> None:
    written = {code(cells[0])[0]: "required" in cells[2].split(";")[0] for cells in table(2, "field")}
    fields = {field.alias or name: field.is_required() for name, field in _Header.model_fields.items()}
    assert written == {**fields, "payload": True}


def routes() -> dict[tuple[str, str], set[str]]:
    """(method, path) → the query, of each route that section 3 lists. A route without a method has the one before it,
    ``…/x`` is beside the one before it."""
    found: dict[tuple[str, str], set[str]] = {}
    for cells in table(3, "method and path"):
        method = path = ""
        for said in code(cells[0]):
            if said.startswith("{"):
                continue  # a body
            first, _, rest = said.rpartition(" ")
            method = first or method
            place, _, query = rest.partition("?")
            path = path.rpartition("/")[0] + place.removeprefix("…") if place.startswith("…") else place
            found[method, path] = set(query.split("&")) - {""}
    return found


def test_every_route_is_listed_with_what_may_be_asked() -> None:
    assert routes() == {(route.method, route.path): {parameter.name for parameter in route.query} for route in ROUTES}
    assert f"(prefix `/api/{PREFIX}`)" in section(3) or f"/api/{PREFIX}" in section(3)


def test_every_code_that_is_named_has_its_status() -> None:
    errors = section(3).partition("Errors: ")[2].partition("\n\n")[0]
    named: dict[str, int] = {}
    for part in re.split(r"·", errors.partition("\n")[2]):
        status = re.search(r"\b([45]\d\d)\b", part)
        for name in code(part):
            if name in CODES and status is not None:
                named[name] = int(status[1])
    assert len(named) >= 10
    assert named == {name: CODES[name][0] for name in named}


def test_every_code_of_the_api_is_named() -> None:
    assert {name for name in CODES if f"`{name}`" not in section(3)} == set()


@pytest.mark.parametrize(
    ("of", "values"),
    [
        ("run", RunStatus),
        ("stage", StageStatus),
        ("key", KeyStatus),
        ("severity", Severity),
        ("decision", DecisionOutcome),
        ("attempt outcome", AttemptOutcome),
    ],
)
def test_statuses_are_the_codes(of: str, values: type[StrEnum]) -> None:
    said = re.search(rf"\b{of} `([\w\s]+)`", section(4).partition("Statuses: ")[2])
    assert said is not None
    assert said[1].split() == [value.value for value in values]


def test_the_events_are_the_codes() -> None:
    types = {
        f"{before}{kind}{after}"
        for before, kinds, after in re.findall(r"`(mosaic\.runtime\.[\w.]*)\{([\w|]+)\}([\w.]*)`", section(6))
        for kind in kinds.split("|")
    }
    assert types == set(EVENTS)


def test_commands_of_the_tool_are_listed() -> None:
    listed = {name for cells in table(7, "command") for name in re.findall(r"\./mosaic (\w+)", cells[0])}
    assert listed == set(COMMANDS)
