"""Event hubs that a developer declares."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from mosaic_local.cli import app
from mosaic_local.hubs import declared


@pytest.mark.parametrize(
    ("text", "hub"),
    [
        ("readings", ("readings", 4, [])),
        ("readings:2", ("readings", 2, [])),
        ("readings:32:one,two", ("readings", 32, ["one", "two"])),
        ("readings::one", ("readings", 4, ["one"])),
    ],
)
def test_what_a_declaration_says(text: str, hub: tuple[str, int, list[str]]) -> None:
    told = declared(text)
    assert (told.name, told.partitions, told.consumer_groups) == hub


@pytest.mark.parametrize("text", ["", "a b", ":4", "readings:0", "readings:33", "readings:many"])
def test_a_wrong_declaration_is_one_line_and_nothing_starts(text: str) -> None:
    with pytest.raises(ValueError, match="declares no event hub"):
        declared(text)
    ended = CliRunner().invoke(app, ["up", "--event-hub", text])
    assert ended.exit_code == 2
    assert "declares no event hub" in ended.output
    assert ended.output.strip().count("\n") == 0
