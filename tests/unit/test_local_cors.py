"""`Host.CORS` of an app's local.settings.json, as `./mosaic up` takes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mosaic_local.anyapp import cors_of
from mosaic_local.errors import LocalSettingsError


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"Host": {"CORS": "https://a.example", "CORSCredentials": True}}, ("https://a.example", True)),
        ({"Host": {"CORS": "*", "CORSCredentials": "false"}}, ("*", False)),
        ({"Host": {"LocalHttpPort": 7071}}, ("", False)),
        ({"Host": None, "Values": {}}, ("", False)),
        ({}, ("", False)),
    ],
)
def test_the_hosts_section_is_read(tmp_path: Path, settings: object, expected: tuple[str, bool]) -> None:
    (tmp_path / "local.settings.json").write_text("\ufeff" + json.dumps(settings), "utf-8")
    assert cors_of(tmp_path) == expected


def test_without_the_file_there_are_no_origins(tmp_path: Path) -> None:
    assert cors_of(tmp_path) == ("", False)


@pytest.mark.parametrize("text", ["{", "[]", '{"Host": "x"}'])
def test_a_file_that_is_no_settings_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "local.settings.json").write_text(text)
    with pytest.raises(LocalSettingsError, match=r"local\.settings\.json"):
        cors_of(tmp_path)
