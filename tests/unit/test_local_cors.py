"""`Host.CORS` of an app's local.settings.json, as `./mosaic up` takes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from mosaic_local.cli import _host_cors


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
    assert _host_cors(tmp_path) == expected


def test_without_the_file_there_are_no_origins(tmp_path: Path) -> None:
    assert _host_cors(tmp_path) == ("", False)


@pytest.mark.parametrize("text", ["{", "[]", '{"Host": "x"}'])
def test_a_file_that_is_no_settings_is_said(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "local.settings.json").write_text(text)
    with pytest.raises(typer.Exit):
        _host_cors(tmp_path)
    assert "local.settings.json is not usable" in capsys.readouterr().err
