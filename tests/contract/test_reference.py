"""docs/reference says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mosaic_core.config import Settings, _Reader
from mosaic_core.entrypoints import timers
from mosaic_core.entrypoints.http.answers import CODES
from mosaic_core.entrypoints.http.routes import ROUTES
from mosaic_ops import reference
from tests.unit.test_config import MINIMAL

SETTINGS = (reference.FOLDER / "settings.md").read_text("utf-8")
NOT_READ_HERE = {"MOSAIC_COMMIT"}


@pytest.mark.parametrize("name", reference.files())
def test_generated_files_are_up_to_date(name: str) -> None:
    committed = (reference.FOLDER / name).read_text("utf-8")
    assert committed == reference.files()[name], "run python -m mosaic_ops.reference"


def test_every_route_and_code_is_described(tmp_path: Path) -> None:
    reference.write(tmp_path)
    text = (tmp_path / "api.md").read_text("utf-8")
    assert all(route.path in text for route in ROUTES)
    assert all(f"| `{code}` |" in text for code in CODES)


def test_every_setting_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    read: set[str] = set()
    original = _Reader.read

    def recorded(self: _Reader, name: str) -> str:
        read.add(name)
        return original(self, name)

    monkeypatch.setattr(_Reader, "read", recorded)
    Settings.from_env(MINIMAL)
    described = set(re.findall(r"^\| `(\w+)` \|", SETTINGS, re.MULTILINE))
    assert described == read | NOT_READ_HERE


def test_the_defaults_are_the_described_ones() -> None:
    rest = SETTINGS[SETTINGS.index("## The rest") :]
    defaults = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", rest, re.MULTILINE))
    assert len(defaults) >= 19
    assert Settings.from_env(MINIMAL | defaults) == Settings.from_env(MINIMAL)
    assert defaults["Sweep__Schedule"] == timers.DEFAULT_SCHEDULE
    assert defaults["Outbox__Schedule"] == timers.DEFAULT_OUTBOX_SCHEDULE
    assert defaults["Reconcile__Schedule"] == timers.DEFAULT_RECONCILE_SCHEDULE
    assert defaults["Retention__Schedule"] == timers.DEFAULT_RETENTION_SCHEDULE
