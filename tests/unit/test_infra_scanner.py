"""checkov: what it says of a scan is judged, each skip has its reason and its use, and one scan is made for real."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mosaic_ops.bootstrap import scanner
from mosaic_ops.checks.infra import bicep, checkov

ROOT = Path(__file__).resolve().parents[2]
SOURCE = b"""// checkov:skip=CKV_AZURE_1:not on this plan, which has none
resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  // checkov:skip=CKV_AZURE_35:identity is the gate
  name: 'abc'
}
"""
SOUND: Mapping[str, Any] = {
    "rules": 200,
    "parsing_errors": [],
    "resource_count": 1,
    "resources": {"a.bicep": ["account"]},
    "failed": [],
    "skipped": [
        {"id": "CKV_AZURE_1", "name": "", "resource": "x.account", "path": "a.bicep", "first": 1, "last": 5},
        {"id": "CKV_AZURE_35", "name": "", "resource": "x.account", "path": "a.bicep", "first": 2, "last": 5},
    ],
    "passed": 3,
}


def judged(answer: Mapping[str, Any], source: bytes = SOURCE) -> list[str]:
    file = bicep.parse(source, "infra/a.bicep")
    return list(checkov.judge(answer, {"infra/a.bicep": file}, "infra"))


def test_a_sound_scan_gives_no_line() -> None:
    assert judged(SOUND) == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"rules": 3}, "infra:1: checkov loaded 3 rules"),
        ({"parsing_errors": ["/x/infra/a.bicep"]}, "infra/a.bicep:1: checkov cannot parse it"),
        ({"resources": {}}, "infra/a.bicep:2: checkov did not see the resource account"),
        ({"resource_count": 0}, "infra:1: checkov counted 0 resources, not the 1"),
        (
            {"failed": [{"id": "CKV_X", "name": "Ensure x", "resource": "a.account", "path": "a.bicep", "first": 2}]},
            "infra/a.bicep:2: CKV_X: account: Ensure x",
        ),
        ({"skipped": SOUND["skipped"][:1]}, "infra/a.bicep:3: CKV_AZURE_35 is skipped, and nothing would have failed"),
        (
            {"skipped": [*SOUND["skipped"], {**SOUND["skipped"][0], "id": "CKV_Y"}]},
            "infra/a.bicep:1: CKV_Y is skipped by no comment of this file",
        ),
    ],
)
def test_what_is_wrong_with_a_scan_is_told(change: dict[str, Any], line: str) -> None:
    assert any(found.startswith(line) for found in judged({**SOUND, **change})), judged({**SOUND, **change})


@pytest.mark.parametrize(
    "comment", ["checkov:skip=CKV_AZURE_35", "checkov:skip=CKV_AZURE_35:", "checkov: skip=CKV_AZURE_35: no"]
)
def test_a_skip_wants_a_reason(comment: str) -> None:
    file = bicep.parse(b"// " + comment.encode() + b"\n", "infra/a.bicep")
    (line,) = checkov.unjustified({"infra/a.bicep": file})
    assert line.startswith("infra/a.bicep:1: CKV_AZURE_35 is skipped without a reason")


def test_a_scanner_that_is_not_there_is_told(tmp_path: Path) -> None:
    (line,) = checkov.problems(tmp_path, {}, python=tmp_path / "none")
    assert line == "infra:1: checkov is not installed: ./mosaic check installs it"


def test_a_scanner_that_breaks_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho broken >&2\nexit 3\n", "utf-8")
    broken.chmod(0o755)
    (line,) = checkov.problems(tmp_path, {}, python=broken)
    assert line == "infra:1: checkov did not run (exit code 3): broken"


@pytest.mark.slow
def test_one_scan_of_planted_faults(tmp_path: Path) -> None:
    """One scan for all of them: a scan takes seconds."""
    if not scanner.is_installed(ROOT):
        assert not os.environ.get("CI"), "./mosaic check installs the scanner"
        pytest.skip("./mosaic check installs the scanner")
    shutil.copytree(ROOT / "infra", tmp_path / "infra")

    def plant(name: str, old: str, new: str) -> None:
        path = tmp_path / "infra" / "modules" / name
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), "utf-8")

    plant("storage.bicep", "publicAccess: 'None'", "publicAccess: 'Blob'")
    plant(
        "storage.bicep",
        "resource tableService ",
        "// checkov:skip=CKV_AZURE_44:the tables are no accounts\nresource tableService ",
    )
    plant("eventhubs.bicep", "param location string", "param location string\n\nparam zones string[] = []")
    found = checkov.problems(tmp_path, bicep.load(tmp_path), python=scanner.python(ROOT))
    assert any(line.startswith("infra/modules/eventhubs.bicep:1: checkov cannot parse it") for line in found), found
    assert any("eventhubs.bicep" in line and "did not see the resource hub" in line for line in found), found
    assert any("storage.bicep" in line and "CKV_AZURE_34" in line for line in found), found
    assert any("storage.bicep" in line and "CKV_AZURE_44 is skipped, and nothing" in line for line in found), found


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["check"], True),
        (["check", "--fix"], True),
        (["check", "--only", "types"], False),
        (["check", "--only", "types", "--only", "infra scanner"], True),
        (["check", "--only=infra scanner"], True),
        (["test"], False),
        (["demo"], False),
        ([], False),
    ],
)
def test_only_the_check_needs_the_scanner(arguments: list[str], needed: bool) -> None:
    assert scanner.is_needed(arguments) is needed


def test_a_changed_pin_is_installed_anew(tmp_path: Path) -> None:
    (tmp_path / scanner.FILE).write_text("checkov==1\n", "utf-8")
    scanner.python(tmp_path).parent.mkdir(parents=True)
    scanner.python(tmp_path).symlink_to("/bin/sh")
    assert not scanner.is_installed(tmp_path)
    scanner.write_record(tmp_path)
    assert scanner.is_installed(tmp_path)
    (tmp_path / scanner.FILE).write_text("checkov==2\n", "utf-8")
    assert not scanner.is_installed(tmp_path)
