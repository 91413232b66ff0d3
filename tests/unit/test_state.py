"""The state folder: one stack at a time, versions, secrets."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from mosaic_local import cli, command, ends, state
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


def _stopped(path: Path) -> StateFolder:
    folder = StateFolder(path)
    folder.open()
    folder.close()
    return folder


def _said(path: Path | None) -> str:
    with pytest.raises(NotRunningError) as caught:
        read_stack(path)
    return str(caught.value)


def test_where_no_stack_runs_it_says_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "POINTER", tmp_path / "running.json")
    start = f"start one with {state.UP}"
    assert start in _said(None)
    (tmp_path / "empty").mkdir()
    (tmp_path / "photos").mkdir()
    for name in ("b.jpg", "a.jpg", ".hidden", "c.jpg"):
        (tmp_path / "photos" / name).write_bytes(b"")
    (tmp_path / "file").write_text("")
    _stopped(tmp_path / "stopped")
    said = {name: _said(tmp_path / name) for name in ("absent", "empty", "photos", "file", "stopped")}
    assert f"there is no folder {tmp_path / 'absent'}" in said["absent"]
    assert f"{tmp_path / 'empty'} is an empty folder" in said["empty"]
    assert "is no state folder of a stack: it holds a.jpg, b.jpg, c.jpg, …" in said["photos"]
    assert "is not a folder that can be read" in said["file"]
    assert said["stopped"].endswith(f": it was stopped; start it again with {state.UP} --state {tmp_path / 'stopped'}")
    for name in ("absent", "empty", "photos", "file"):
        assert start not in said[name], "a stack is started where one can be"
        assert "--state takes the folder that" in said[name]
    monkeypatch.chdir(tmp_path / "photos")
    assert f"{tmp_path / 'photos'} is no state folder" in _said(Path())


def test_a_stack_that_runs_elsewhere_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "POINTER", tmp_path / "running.json")
    folder = StateFolder(tmp_path / "state")
    folder.open()
    state.point_to(folder.path)
    try:
        assert f"the stack that runs has its state in {folder.path}" in _said(tmp_path / "absent")
    finally:
        folder.close()


def test_a_stack_that_is_gone_says_how_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "POINTER", tmp_path / "running.json")
    folder = _stopped(tmp_path / "state")
    folder.logs.mkdir()
    log = folder.logs / "broker.log"
    ends.note(folder.logs, "worker", 7, -9, log, out_of_memory=True)
    assert "it was stopped" in _said(folder.path)
    ends.note(folder.logs, "broker", 8, -11, log, out_of_memory=False, over="the stack ends")
    assert "with its broker, whose process was ended by SIGSEGV (a native library crashed)" in _said(folder.path)
    ends.forget(folder.logs)
    folder.stack_file.write_text("{}")
    assert "its own process is gone and could not say why" in _said(folder.path)


@pytest.mark.parametrize(
    ("code", "memory", "how"),
    [
        (0, None, "ended with exit code 0"),
        (137, None, "ended with exit code 137"),
        (-9, None, "was ended by SIGKILL (kill -9, or the system for want of memory)"),
        (-9, False, "was ended by SIGKILL (kill -9; memory was not short)"),
        (-9, True, "was ended by SIGKILL (the machine ran out of memory meanwhile)"),
        (-6, True, "was ended by SIGABRT (a native library crashed)"),
        (-15, None, "was ended by SIGTERM"),
        (-60, None, "was ended by signal 60"),
    ],
)
def test_an_end_is_kept_and_told_in_the_parts_own_log(tmp_path: Path, code: int, memory: bool | None, how: str) -> None:
    log = tmp_path / "worker.log"
    log.write_text("before\n")
    for process in range(250):
        assert ends.note(tmp_path, "worker", process, code, log, out_of_memory=memory) == how
    lines = (tmp_path / ends.FILE).read_text().splitlines()
    assert (len(lines), ends.last(tmp_path)) == (200, json.loads(lines[-1]))
    last = json.loads(lines[-1])
    assert (last["part"], last["process"], last["how"], last["isStackOver"]) == ("worker", 249, how, False)
    assert last["outOfMemory"] is memory
    assert f"ERROR Stack.Supervisor: the process 249 of worker {how}; it is started again" in log.read_text()


def test_the_kernel_counts_what_it_ended_for_want_of_memory(tmp_path: Path) -> None:
    vmstat = tmp_path / "vmstat"
    assert ends.memory_kills(vmstat) is None
    vmstat.write_text("pgfault 3\noom_kill 4\n")
    assert ends.memory_kills(vmstat) == 4
    vmstat.write_text("pgfault 3\n")
    assert ends.memory_kills(vmstat) is None


@pytest.mark.parametrize("of", [cli.app, command.app], ids=["mosaic", "any app"])
@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_both_forms_of_env_tell_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], of: Any, flags: list[str]
) -> None:
    folder = StateFolder(tmp_path / "state")
    folder.open()
    try:
        folder.write_stack({"settings": {}, "environment": {"A": "x y"}, "processes": {"worker": 7}})
        of(["env", *flags, "--state", str(folder.path)], standalone_mode=False)
    finally:
        folder.close()
    out = capsys.readouterr().out
    assert (
        json.loads(out) == {"A": "x y", "Processes": {"worker": 7}}
        if flags
        else out == "A='x y'\nProcesses__worker=7\n"
    )
