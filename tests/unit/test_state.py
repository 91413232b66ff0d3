"""The state folder: one stack at a time, versions, secrets."""

import json
import os
import stat
from pathlib import Path

import pytest

from mosaic_local import state
from mosaic_local.errors import NotRunningError, StateError
from mosaic_local.state import STATE_VERSION, StateFolder, read_stack


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_random_private_and_kept(tmp_path: Path) -> None:
    first = StateFolder(tmp_path / "a")
    made = first.open()
    first.close()
    again = StateFolder(tmp_path / "a")
    assert again.open() == made
    again.close()
    other = StateFolder(tmp_path / "b")
    assert other.open().storage_key != made.storage_key
    other.close()
    assert mode(tmp_path / "a" / "secrets.json") == 0o600
    assert mode(tmp_path / "a") == 0o700


def test_one_stack_at_a_time(tmp_path: Path) -> None:
    first, second = StateFolder(tmp_path), StateFolder(tmp_path)
    first.open()
    first.write_stack({"processes": {"supervisor": 4711}})
    with pytest.raises(StateError, match=r"in use by another stack \(process 4711\)"):
        second.open()
    first.close()
    second.open()
    second.close()


def test_a_folder_of_a_newer_version_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(json.dumps({"version": STATE_VERSION + 1}))
    with pytest.raises(StateError, match=rf"version {STATE_VERSION + 1}.*up to {STATE_VERSION}") as refused:
        StateFolder(tmp_path).open()
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "secrets.json").exists()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"version": "x"}', "{}"])
def test_a_damaged_version_file_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "state.json").write_text(content)
    with pytest.raises(StateError):
        StateFolder(tmp_path).open()


def test_a_folder_with_strangers_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(StateError, match=r"holiday\.jpg"):
        StateFolder(tmp_path).open()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["holiday.jpg", "lock"]


def test_a_file_in_the_folders_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be used"):
        StateFolder(tmp_path / "file").open()


def test_a_running_stack_is_found_by_folder_and_by_pointer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "POINTER", tmp_path / "pointer" / "running.json")
    with pytest.raises(NotRunningError):
        read_stack()
    folder = StateFolder(tmp_path / "state")
    folder.open()
    folder.write_stack({"processes": {"supervisor": os.getpid()}})
    state.point_to(folder.path)
    assert read_stack() == read_stack(folder.path) == {"processes": {"supervisor": os.getpid()}}
    assert mode(folder.stack_file) == 0o600
    folder.close()
    with pytest.raises(NotRunningError, match="no stack is running"):
        read_stack()
    state.unpoint(tmp_path / "another")
    assert state.POINTER.exists()
    state.unpoint(folder.path)
    assert not state.POINTER.exists()


def test_a_description_that_a_killed_stack_left_is_not_believed(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    folder.open()
    folder.write_stack({"processes": {}})
    left = folder.stack_file.read_text()
    folder.close()
    folder.stack_file.write_text(left)
    with pytest.raises(NotRunningError):
        read_stack(tmp_path)
