"""Running installers: failures, interruption, and a lock that outlives whoever took it."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mosaic_ops.bootstrap.jobs import Job, SetupError, failures, run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


def shell(tmp_path: Path, title: str, script: str) -> Job:
    return Job(title, ["/bin/sh", "-c", script], tmp_path / "logs" / f"{title}.log")


def test_jobs_run_side_by_side(tmp_path: Path, lock: int) -> None:
    # Each waits for what the other one writes, so that they can only end together.
    one = shell(tmp_path, "one", f"echo > {tmp_path}/a; until [ -e {tmp_path}/b ]; do sleep 0.01; done")
    two = shell(tmp_path, "two", f"echo > {tmp_path}/b; until [ -e {tmp_path}/a ]; do sleep 0.01; done")
    assert failures([one, two], keep_open=lock) == {}


def test_a_failure_shows_the_end_of_the_output(tmp_path: Path, lock: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SetupError, match=r"(?s)bad: exit code 7.*the reason") as caught:
        run([shell(tmp_path, "bad", "echo the reason >&2; exit 7")], keep_open=lock)
    assert not caught.value.unreachable
    assert "bad.log" in caught.value.remedy
    assert "✗ bad" in capsys.readouterr().err


def test_the_others_are_finished_where_one_fails(tmp_path: Path, lock: int) -> None:
    bad = shell(tmp_path, "bad", "exit 1")
    good = shell(tmp_path, "good", f"until [ -e {tmp_path}/logs/bad.log ]; do sleep 0.01; done; echo > {tmp_path}/done")
    assert list(failures([bad, good], keep_open=lock)) == ["bad"]
    assert (tmp_path / "done").exists()


@pytest.mark.parametrize(
    "output",
    [
        "cause: dns error",
        "npm error code ENOTFOUND",
        "Failed to establish a new connection: [Errno 111] Connection refused",
        "error sending request for url (https://index.invalid/simple/)",
    ],
)
def test_an_index_that_does_not_answer_is_told_apart(tmp_path: Path, lock: int, output: str) -> None:
    with pytest.raises(SetupError) as caught:
        run([shell(tmp_path, "bad", f"echo '{output}'; exit 1")], keep_open=lock)
    assert caught.value.unreachable
    assert "network" in caught.value.remedy


def test_a_program_that_cannot_be_started_is_named(tmp_path: Path, lock: int) -> None:
    with pytest.raises(SetupError, match="/nonexistent/npm could not be started"):
        run([Job("npm", ["/nonexistent/npm"], tmp_path / "npm.log")], keep_open=lock)


_INSTALLER = """
import fcntl, os, sys
sys.path.insert(0, {root!r})
from mosaic_ops.bootstrap.jobs import Job, run
from pathlib import Path
folder = Path({folder!r})
lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
fcntl.flock(lock, fcntl.LOCK_EX)
script = f"echo $$ > {{folder}}/pid.draft; mv {{folder}}/pid.draft {{folder}}/pid; exec sleep 60"
try:
    run([Job("long", ["/bin/sh", "-c", script], folder / "log")], keep_open=lock)
except KeyboardInterrupt:
    sys.exit(130)
"""


def wait_for(path: Path) -> str:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} did not appear"
        time.sleep(0.01)
    return path.read_text(encoding="utf-8")


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def start_installer(folder: Path) -> tuple["subprocess.Popen[bytes]", int]:
    """A bootstrap in the middle of a long job, and the job's process id."""
    program = _INSTALLER.format(root=str(ROOT), folder=str(folder))
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    return process, int(wait_for(folder / "pid"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupting_ends_the_programs_too(tmp_path: Path, number: signal.Signals) -> None:
    process, job = start_installer(tmp_path)
    process.send_signal(number)
    assert process.wait(timeout=20) == 130
    assert not is_running(job)


def test_an_interrupt_while_a_program_starts_ends_that_program(tmp_path: Path, lock: int) -> None:
    """The program itself interrupts, before whoever starts it has come back from starting it."""
    script = f"echo $$ > {tmp_path}/pid; kill -TERM {os.getpid()}; exec sleep 60"
    for turn in range(20):
        with pytest.raises(KeyboardInterrupt):
            run([shell(tmp_path, f"early-{turn}", script)], keep_open=lock)
        assert not is_running(int((tmp_path / "pid").read_text()))


def test_the_lock_is_held_until_the_orphan_of_a_killed_bootstrap_ends(tmp_path: Path) -> None:
    process, job = start_installer(tmp_path)
    process.kill()
    process.wait(timeout=20)
    with (tmp_path / "lock").open() as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.kill(job, signal.SIGKILL)
        fcntl.flock(file, fcntl.LOCK_EX)
