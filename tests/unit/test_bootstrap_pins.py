"""Which pins a command needs, and the record of what is installed."""

from pathlib import Path

import pytest

from mosaic_ops.bootstrap import pins


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in {name for names in pins.FILES.values() for name in names}:
        (tmp_path / name).write_text(f"# {name}\nsomething==1.0\n", encoding="utf-8")
    (tmp_path / ".venv").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "level"),
    [
        ([], "ops"),
        (["--help"], "ops"),
        (["--version"], "ops"),
        (["ops", "status", "--json"], "ops"),
        (["no-such-command"], "ops"),
        (["up", "--port", "0"], "local"),
        (["demo"], "local"),
        (["token", "--user", "alice"], "local"),
        (["test", "-k", "demo"], "dev"),
        (["check"], "dev"),
    ],
)
def test_a_command_needs_the_least(arguments: list[str], level: str) -> None:
    assert pins.level_for(arguments) == level


def test_nothing_is_installed_without_a_record(root: Path) -> None:
    assert not pins.is_installed(root, "ops")


def test_a_level_contains_the_ones_before_it(root: Path) -> None:
    pins.write_record(root, "local")
    assert [pins.is_installed(root, level) for level in pins.LEVELS] == [True, True, False]


def test_a_changed_pin_is_seen_by_the_levels_that_hold_it(root: Path) -> None:
    pins.write_record(root, "dev")
    (root / "requirements-local.txt").write_text("something==1.1\n", encoding="utf-8")
    assert [pins.is_installed(root, level) for level in pins.LEVELS] == [True, False, False]


def test_an_update_keeps_the_highest_level_that_was_installed(root: Path) -> None:
    pins.write_record(root, "dev")
    assert pins.level_to_install(root, "ops") == "dev"
    pins.record_path(root).unlink()
    assert pins.level_to_install(root, "ops") == "ops"


def test_a_moved_checkout_does_not_trust_its_environment(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    pins.write_record(root, "ops")
    moved = tmp_path_factory.mktemp("elsewhere") / "checkout"
    root.rename(moved)
    assert not pins.is_installed(moved, "ops")


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', "\x00"])
def test_a_record_that_cannot_be_read_is_none(root: Path, content: str) -> None:
    pins.record_path(root).write_text(content, encoding="utf-8")
    assert pins.read_record(root) == {}


def test_the_record_leaves_no_draft_behind(root: Path) -> None:
    pins.write_record(root, "ops")
    assert [path.name for path in (root / ".venv").iterdir()] == ["mosaic.json"]


def test_pinned_versions_are_read_from_the_file(root: Path) -> None:
    (root / "requirements-bootstrap.txt").write_text("# why\nuv==1.2.3 # the installer\n", encoding="utf-8")
    assert pins.pinned_version(root, "requirements-bootstrap.txt", "uv") == "1.2.3"
    with pytest.raises(LookupError, match="pins no pip"):
        pins.pinned_version(root, "requirements-bootstrap.txt", "pip")
