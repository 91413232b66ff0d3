"""The audit of dependencies: pins that are planted in an affected range are found, and what was not audited is said."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from mosaic_ops import advising, pinning
from mosaic_ops.checks import advisories, command
from tests.support.documents import ROOT

TODAY = date(2026, 11, 30)


def advisory(
    *events: dict[str, str], name: str = "Some_Package", ecosystem: str = "PyPI", versions: list[str] | None = None
) -> dict[str, Any]:
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}] if events else []
    affected = {"package": {"ecosystem": ecosystem, "name": name}, "versions": versions or [], "ranges": ranges}
    return {"id": "GHSA-aaaa", "summary": "reads too much", "aliases": ["CVE-1"], "affected": [affected]}


def write(root: Path, *found: dict[str, Any], taken: str | None = "2026-11-30", **asked: str) -> None:
    document = {"takenOn": taken, "asked": asked, "advisories": found}
    (root / advisories.FILE).write_text(json.dumps(document))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with three pins."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "constraints.txt").write_text("# all\nsome-package==1.4.0\nother[extra]==2.0 ; python_version > '3'\n")
    (tmp_path / "requirements-bootstrap.txt").write_text("")
    (tmp_path / "requirements-node.txt").write_text("")
    packages = {"": {}, "node_modules/azurite": {"version": "3.35.0"}}
    packages["node_modules/azurite/node_modules/@scope/inner"] = {"version": "1.0.0-beta.2"}
    (tmp_path / "package-lock.json").write_text(json.dumps({"packages": packages}))
    return tmp_path


@pytest.mark.parametrize(
    ("events", "found"),
    [
        (({"introduced": "0"}, {"fixed": "1.4.1"}), True),
        (({"introduced": "1.4.0"},), True),
        (({"introduced": "1.0"}, {"last_affected": "1.4.0"}), True),
        (({"introduced": "0"}, {"fixed": "1.2"}, {"introduced": "1.4rc1"}, {"fixed": "1.5"}), True),
        (({"fixed": "1.5"}, {"introduced": "0"}), True),
        (({"introduced": "0"}, {"fixed": "1.4.0"}), False),
        (({"introduced": "1.4.1"},), False),
        (({"introduced": "0"}, {"last_affected": "1.3.9"}), False),
        (({"introduced": "0"}, {"fixed": "1.2"}, {"introduced": "1.5"}, {"fixed": "1.6"}), False),
    ],
)
def test_a_pin_in_an_affected_range_is_found(root: Path, events: tuple[dict[str, str], ...], found: bool) -> None:
    write(root, advisory(*events))
    problems = advisories.problems(root)
    assert bool(problems) == found
    assert all(line.startswith("some-package 1.4.0: GHSA-aaaa: reads too much (") for line in problems)


def test_a_version_that_is_named_is_found_and_the_remedy_is_told(root: Path) -> None:
    write(root, advisory(versions=["1.3.0", "1.4.0"]))
    assert advisories.problems(root) == ["some-package 1.4.0: GHSA-aaaa: reads too much (no fixed version is named)"]
    write(root, advisory({"introduced": "0"}, {"fixed": "1.4.1"}, versions=["1.4.0"]))
    assert advisories.problems(root) == ["some-package 1.4.0: GHSA-aaaa: reads too much (fixed in 1.4.1)"]


@pytest.mark.parametrize(("name", "fixed"), [("azurite", "3.36.0"), ("@scope/inner", "1.0.0")])
def test_the_locked_node_packages_are_audited_too(root: Path, name: str, fixed: str) -> None:
    write(root, advisory({"introduced": "0"}, {"fixed": fixed}, name=name, ecosystem="npm"))
    assert len(advisories.problems(root)) == 1
    write(root, advisory({"introduced": "0"}, {"fixed": fixed}, name=name, ecosystem="PyPI"))
    assert advisories.problems(root) == []


def test_ranges_of_commits_say_nothing_and_a_version_that_cannot_be_compared_is_affected() -> None:
    commits = {"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}
    assert not advisories.is_affected("1.4.0", commits)
    assert advisories.is_affected("odd-one", {"ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}]})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"takenOn": "yesterday", "asked": {}, "advisories": []}',
        '{"takenOn": null, "asked": {}, "advisories": [{"id": "X", "affected": []}]}',
        '{"takenOn": null, "asked": {}, "advisories": [{"id": "X", "affected": [{"package": {"name": "a"}}]}]}',
        None,
    ],
)
def test_without_a_snapshot_that_can_be_read_the_check_fails(root: Path, text: str | None) -> None:
    if text is not None:
        (root / advisories.FILE).write_text(text)
    (problem,) = advisories.problems(root)
    assert problem.startswith(advisories.FILE)


@pytest.mark.parametrize(("taken", "old"), [("2026-10-01", False), ("2026-09-30", True), ("2020-01-01", True)])
def test_an_old_snapshot_is_told_aloud(root: Path, taken: str, old: bool) -> None:
    write(root, taken=taken, **{"some-package": "1.4.0", "other": "2.0"})
    told = advisories.warnings(root, TODAY)
    assert bool(told) == old
    assert all("days old" in line and "./mosaic pin --advisories" in line for line in told)


def test_what_was_not_asked_about_is_told_aloud(root: Path) -> None:
    write(root, **{"some-package": "1.3.0", "other": "2.0"})
    (told,) = advisories.warnings(root, TODAY)
    assert told.startswith("NOT AUDITED: 1 of 2 Python pins (some-package)")
    write(root, taken=None)
    (told,) = advisories.warnings(root, TODAY)
    assert told.startswith("NOT AUDITED: no snapshot of advisories was taken yet")


def test_the_check_fails_by_a_planted_pin_and_tells_its_warnings(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "ROOT", root)
    write(root, taken="2020-01-01")
    assert command.main(["--only", "advisories"]) == 0
    told = capsys.readouterr().err
    assert "check: WARNING: advisories: the snapshot of advisories is " in told
    assert "check: WARNING: advisories: NOT AUDITED: 2 of 2 Python pins" in told
    write(root, advisory(versions=["1.4.0"]))
    assert command.main(["--only", "advisories"]) == 1
    assert "some-package 1.4.0: GHSA-aaaa" in capsys.readouterr().out


def test_the_committed_snapshot_can_be_read_and_affects_no_pin() -> None:
    assert advisories.problems(ROOT) == []
    assert ("PyPI", "aiohttp") in advisories.pins(ROOT)
    assert ("npm", "azurite") in advisories.pins(ROOT)


# ------------------------------------------------------------------------------------------------------- taken anew

VULNERABLE = {
    "id": "PYSEC-1",
    "aliases": ["CVE-2"],
    "summary": None,
    "details": "It\nreads   too much.",
    "fixed_in": ["1.4.1"],
    "withdrawn": None,
}


def answers(found: dict[str, Any]) -> Any:
    def fetch(url: str) -> Any:
        asked.append(url)
        it = found.get(url.split("/")[-3], [])
        if isinstance(it, Exception):
            raise it
        return {"vulnerabilities": it}

    asked: list[str] = []
    fetch.asked = asked  # type: ignore[attr-defined]
    return fetch


def test_a_snapshot_taken_anew_is_what_the_check_then_reads(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    by_hand = advisory({"introduced": "9"}, name="azurite", ecosystem="npm")
    write(root, by_hand, advisory(versions=["0.1"]), taken=None)
    withdrawn = VULNERABLE | {"id": "PYSEC-2", "withdrawn": "2026-01-01T00:00:00Z"}
    fetch = answers({"some-package": [VULNERABLE, withdrawn]})
    environ = {"PIP_INDEX_URL": "https://index.example/simple/"}
    assert advising.take(root, environ=environ, fetch=fetch, today=TODAY) == 0
    assert fetch.asked == [
        "https://index.example/pypi/other/2.0/json",
        "https://index.example/pypi/some-package/1.4.0/json",
    ]
    assert advisories.problems(root) == ["some-package 1.4.0: PYSEC-1: It reads too much. (fixed in 1.4.1)"]
    assert advisories.warnings(root, TODAY) == []
    assert [it["id"] for it in advisories.read(root).advisories] == ["GHSA-aaaa", "PYSEC-1"]
    assert "index.example" not in (root / advisories.FILE).read_text()


@pytest.mark.parametrize(
    ("environ", "answer"),
    [
        ({}, []),
        ({"PIP_INDEX_URL": "file:///srv/wheels"}, []),
        ({"UV_INDEX_URL": "https://index.example/simple"}, OSError("away")),
        ({"UV_DEFAULT_INDEX": "https://index.example/simple"}, ValueError("no JSON")),
        ({"PIP_INDEX_URL": "https://index.example/simple"}, [{"id": "of another shape"}]),
    ],
)
def test_what_could_not_be_asked_is_said_and_the_snapshot_stays(
    root: Path, environ: dict[str, str], answer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    write(root, advisory(versions=["1.4.0"]))
    before = (root / advisories.FILE).read_bytes()
    assert advising.take(root, environ=environ, fetch=answers({"some-package": answer}), today=TODAY) == 1
    assert "advisories NOT taken" in capsys.readouterr().err
    assert (root / advisories.FILE).read_bytes() == before


def test_the_command_asks_and_pins_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def take(root: Path) -> int:
        asked.append(root)
        return 0

    monkeypatch.setattr(advising, "take", take)
    monkeypatch.setattr(pinning, "compile_pins", lambda *_, **__: pytest.fail("nothing is to be pinned"))
    assert pinning.main(["--advisories"]) == 0
    assert asked == [ROOT]
