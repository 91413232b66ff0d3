"""The whole bootstrap on a small checkout: real environments, real pip, packages from a folder, no network.

The one package that stands for uv has no program in it, so that pip does the work, as on a machine where uv cannot be
used.
"""

import base64
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from mosaic_ops.bootstrap import pins

ROOT = Path(__file__).resolve().parents[2]

CLI = """
import sys
def main(arguments):
    import tiny
    print("tiny", tiny.VERSION, *arguments)
    return 0
"""


def build_wheel(folder: Path, name: str, version: str) -> None:
    """A wheel with one module, `VERSION` in it."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in files.items():
        checksum = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={checksum},{len(text)}\n"
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)


class Checkout:
    """A checkout of the launcher, the bootstrap, one package pinned, and a command line that shows its version."""

    def __init__(self, root: Path, wheels: Path) -> None:
        self.root = root
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "PYTEST_"))},
            "MOSAIC_PYTHON": getattr(sys, "_base_executable", sys.executable),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(wheels),
        }
        (root / "mosaic_ops").mkdir(parents=True)
        shutil.copy(ROOT / "mosaic", root)
        shutil.copy(ROOT / "mosaic_ops" / "__init__.py", root / "mosaic_ops")
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "mosaic_ops" / "bootstrap", root / "mosaic_ops" / "bootstrap", ignore=ignored)
        (root / "mosaic_ops" / "cli.py").write_text(CLI, encoding="utf-8")
        for names in pins.FILES.values():
            for name in names:
                (root / name).write_text("# nothing\n", encoding="utf-8")
        (root / "requirements-bootstrap.txt").write_text("uv==0.0.1\n", encoding="utf-8")
        self.pin("1.0")

    def pin(self, version: str) -> None:
        (self.root / "requirements-ops.txt").write_text(f"tiny=={version}\n", encoding="utf-8")

    def start(self, **variables: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [str(self.root / "mosaic"), "ops", "status"],
            env={**self.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, **variables: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        process = self.start(**variables)
        out, err = process.communicate(timeout=100)
        return process.returncode, out, err

    @property
    def has_record(self) -> bool:
        return pins.record_path(self.root).exists()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name, version in (("uv", "0.0.1"), ("tiny", "1.0"), ("tiny", "1.1")):
        build_wheel(wheels, name, version)
    return Checkout(tmp_path / "a checkout", wheels)


def test_the_life_of_an_environment(checkout: Checkout) -> None:
    # Two at once share one installation.
    processes = [checkout.start(), checkout.start()]
    answers = [process.communicate(timeout=100) for process in processes]
    assert [(process.returncode, out) for process, (out, _) in zip(processes, answers, strict=True)] == [
        (0, "tiny 1.0 ops status\n")
    ] * 2, answers
    assert sum("✓ packages (ops)" in err for _, err in answers) == 1

    # Warm: nothing to say, nothing to fetch, although no package can be had.
    assert checkout.run(PIP_FIND_LINKS="/nonexistent", PATH="/nonexistent") == (0, "tiny 1.0 ops status\n", "")

    # A changed pin, and only what changed.
    environment_made = (checkout.root / ".venv" / "pyvenv.cfg").stat().st_mtime_ns
    checkout.pin("1.1")
    code, out, err = checkout.run()
    assert (code, out) == (0, "tiny 1.1 ops status\n"), err
    assert "environment" not in err
    assert (checkout.root / ".venv" / "pyvenv.cfg").stat().st_mtime_ns == environment_made


@pytest.mark.slow
def test_a_pin_that_does_not_exist_is_named_and_leaves_nothing_half_done(checkout: Checkout) -> None:
    checkout.pin("9.9")
    code, out, err = checkout.run()
    assert (code, out) == (1, "")
    assert "tiny==9.9" in err
    assert not checkout.has_record

    checkout.pin("1.0")
    code, out, err = checkout.run()
    assert (code, out) == (0, "tiny 1.0 ops status\n"), err


@pytest.mark.slow
def test_an_index_that_does_not_answer_leaves_the_environment_as_it_was(checkout: Checkout) -> None:
    assert checkout.run()[0] == 0
    checkout.pin("1.1")
    code, out, err = checkout.run(PIP_NO_INDEX="0", PIP_FIND_LINKS="", PIP_INDEX_URL="http://127.0.0.1:9/simple")
    assert (code, out) == (3, "")
    assert "Check the network" in err

    checkout.pin("1.0")
    assert checkout.run(PIP_FIND_LINKS="/nonexistent") == (0, "tiny 1.0 ops status\n", "")


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["venv", "pip", "uv", "packages-by-pip"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_ends_in_the_middle_is_put_right_by_the_next(
    checkout: Checkout, stage: str, number: signal.Signals
) -> None:
    process = checkout.start()
    deadline = time.monotonic() + 60
    while not (checkout.root / ".mosaic" / "logs" / f"{stage}.log").exists():
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGKILL)
    assert not checkout.has_record
    code, out, err = checkout.run()
    assert (code, out) == (0, "tiny 1.0 ops status\n"), err


@pytest.mark.slow
def test_a_moved_checkout_gets_an_environment_of_its_own(checkout: Checkout) -> None:
    assert checkout.run()[0] == 0
    checkout.root = checkout.root.rename(checkout.root.with_name("moved"))
    code, out, err = checkout.run()
    assert (code, out) == (0, "tiny 1.0 ops status\n"), err
    script = (checkout.root / ".venv" / "bin" / "pip").read_text(encoding="utf-8")
    assert str(checkout.root) in script
