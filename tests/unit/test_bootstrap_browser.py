"""When Chromium is wanted, where it is looked for, and what is said where it cannot be had."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mosaic_ops.bootstrap import browser
from mosaic_ops.bootstrap.jobs import Job, SetupError


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["test"], False),
        (["test", "--slow"], True),
        (["test", "tests/e2e/test_console.py"], True),
        (["test", "tests/unit"], False),
        (["up", "--slow"], False),
        ([], False),
    ],
)
def test_it_is_for_the_tests_that_drive_it(arguments: list[str], needed: bool) -> None:
    assert browser.is_needed(arguments) is needed


def executable(folder: Path, name: str) -> Path:
    file = folder / name
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


def test_the_machine_s_own_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(browser.SETTING, raising=False)
    assert browser.find() is None
    chrome = executable(tmp_path, "google-chrome")
    assert browser.find() == str(chrome)
    named = executable(tmp_path, "another")
    monkeypatch.setenv(browser.SETTING, str(named))
    assert browser.find() == str(named)
    monkeypatch.setenv(browser.SETTING, str(tmp_path / "missing"))
    assert browser.find() is None


def test_without_apt_or_root_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError) as refused:
        browser.install(tmp_path, keep_open=0)
    executable(tmp_path, "apt-get")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SetupError):
        browser.install(tmp_path, keep_open=0)
    assert "apt-get install chromium" in refused.value.remedy


def test_by_apt_the_lists_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(browser.SETTING, raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    executable(tmp_path, "apt-get")
    asked: list[str] = []

    def run(jobs: list[Job], *, keep_open: int) -> None:
        asked.extend(next(word for word in job.argv if word in {"update", "install"}) for job in jobs)
        if asked[-1] == "install":
            executable(tmp_path, "chromium")

    monkeypatch.setattr(browser, "run", run)
    browser.install(tmp_path, keep_open=0)
    assert asked == ["update", "install"]
