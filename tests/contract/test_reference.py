"""docs/reference says what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from mosaic_core.config import SETTINGS, Settings
from mosaic_core.config.reader import Reader
from mosaic_core.config.table import COMMIT, PLATFORM_AUTHENTICATION, TABLE
from mosaic_core.entrypoints.http.answers import CODES
from mosaic_core.entrypoints.http.routes import ROUTES
from mosaic_ops import reference
from tests.unit.test_config import MINIMAL


def test_generated_files_are_up_to_date() -> None:
    for name, text in reference.files().items():
        assert (reference.FOLDER / name).read_text("utf-8") == text, f"{name}: run python -m mosaic_ops.reference"


def test_every_route_and_code_is_described(tmp_path: Path) -> None:
    reference.write(tmp_path, tmp_path)
    text = (tmp_path / "api.md").read_text("utf-8")
    assert all(route.path in text for route in ROUTES)
    assert all(f"| `{code}` |" in text for code in CODES)


def test_the_sample_is_up_to_date() -> None:
    committed = (reference.ROOT / reference.SAMPLE).read_text("utf-8")
    assert committed == reference.sample(), "run python -m mosaic_ops.reference"


def test_the_app_reads_the_settings_of_the_table_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    read: set[str] = set()
    original = Reader.text

    def recorded(self: Reader, name: str) -> str:
        read.add(name)
        return original(self, name)

    monkeypatch.setattr(Reader, "text", recorded)
    Settings.from_env(MINIMAL)
    assert read == set(SETTINGS) - {COMMIT.name}  # the build's
    assert len(SETTINGS) == sum(map(len, TABLE.values())), "no name stands twice"


def test_each_default_is_a_value_of_its_kind() -> None:
    shown = {name: setting.shown for name, setting in SETTINGS.items() if setting.shown}
    assert len(shown) >= 40
    for name, text in shown.items():
        setting = SETTINGS[name]
        assert setting.kind.read(text, setting.default) == setting.default, name
    assert Settings.from_env(MINIMAL | {n: t for n, t in shown.items() if n != PLATFORM_AUTHENTICATION.name}) == (
        Settings.from_env(MINIMAL)
    )
