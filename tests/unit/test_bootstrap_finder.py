"""How ./mosaic finds Python 3.13, on machines made of folders with programs that pretend."""

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mosaic_ops.bootstrap import install_python

LAUNCHER = Path(__file__).resolve().parents[2] / "mosaic"


def pretend_python(path: Path, *, runs: bool = True, is_313: bool = True, has_venv: bool = True) -> Path:
    """A program that answers the launcher's two questions, and says who it is when it is given the bootstrap to run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    answers = f"""#!/bin/sh
{"" if runs else "echo 'python3.13: command not found' >&2; exit 127"}
case "$1:$2" in
    -c:*version_info*) exit {0 if is_313 else 1} ;;
    -c:*ensurepip*) exit {0 if has_venv else 1} ;;
    -c:*) exit 99 ;;
esac
echo "{path}"
shift
for word in "$@"; do echo "<$word>"; done
"""
    path.write_text(answers, encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose path has a blank in it, with the launcher alone."""
    root = tmp_path / "a checkout"
    root.mkdir()
    shutil.copy(LAUNCHER, root / "mosaic")
    return root


def launch(checkout: Path, *arguments: str, path: list[Path], **variables: str) -> "subprocess.CompletedProcess[str]":
    environ = {"PATH": ":".join(map(str, path)) or "/nonexistent", "HOME": str(checkout / "nobody"), **variables}
    return subprocess.run(
        ["/bin/sh", str(checkout / "mosaic"), *arguments], env=environ, capture_output=True, text=True, timeout=30
    )


def chosen(answer: "subprocess.CompletedProcess[str]") -> Path:
    assert answer.returncode == 0, answer.stderr
    return Path(answer.stdout.splitlines()[0])


def test_takes_python_313_from_the_path(checkout: Path, tmp_path: Path) -> None:
    python = pretend_python(tmp_path / "bin" / "python3.13")
    assert chosen(launch(checkout, path=[tmp_path / "bin"])) == python


def test_passes_the_arguments_on_unchanged(checkout: Path, tmp_path: Path) -> None:
    pretend_python(tmp_path / "bin" / "python3.13")
    answer = launch(checkout, "token", "--user", "two words", "", "*", path=[tmp_path / "bin"])
    assert answer.stdout.splitlines()[1:] == ["<token>", "<--user>", "<two words>", "<>", "<*>"]


def test_passes_over_a_shim_that_fails(checkout: Path, tmp_path: Path) -> None:
    pretend_python(tmp_path / "shims" / "python3.13", runs=False)
    python = pretend_python(tmp_path / "bin" / "python3.13")
    assert chosen(launch(checkout, path=[tmp_path / "shims", tmp_path / "bin"])) == python


def test_passes_over_another_version(checkout: Path, tmp_path: Path) -> None:
    pretend_python(tmp_path / "bin" / "python3", is_313=False)
    python = pretend_python(tmp_path / "other" / "python3")
    assert chosen(launch(checkout, path=[tmp_path / "bin", tmp_path / "other"])) == python


def test_looks_into_pyenv(checkout: Path, tmp_path: Path) -> None:
    pretend_python(tmp_path / "bin" / "python3", is_313=False)
    python = pretend_python(tmp_path / "pyenv" / "versions" / "3.13.0" / "bin" / "python3.13")
    answer = launch(checkout, path=[tmp_path / "bin"], PYENV_ROOT=str(tmp_path / "pyenv"))
    assert chosen(answer) == python


def test_finds_pyenv_by_its_shims(checkout: Path, tmp_path: Path) -> None:
    pretend_python(tmp_path / "pyenv" / "shims" / "python3.13", runs=False)
    python = pretend_python(tmp_path / "pyenv" / "versions" / "3.13.2" / "bin" / "python3.13")
    assert chosen(launch(checkout, path=[tmp_path / "pyenv" / "shims"])) == python


def test_finds_pyenv_in_the_home_folder(checkout: Path, tmp_path: Path) -> None:
    python = pretend_python(tmp_path / "home" / ".pyenv" / "versions" / "3.13.1" / "bin" / "python3.13")
    assert chosen(launch(checkout, path=[], HOME=str(tmp_path / "home"))) == python


def test_takes_pyenvs_highest_patch_that_runs(checkout: Path, tmp_path: Path) -> None:
    versions = tmp_path / "pyenv" / "versions"
    pretend_python(versions / "3.13.9" / "bin" / "python3.13")
    expected = pretend_python(versions / "3.13.10" / "bin" / "python3.13")
    pretend_python(versions / "3.13.12" / "bin" / "python3.13", runs=False)
    pretend_python(versions / "3.13.14t" / "bin" / "python3.13")
    assert chosen(launch(checkout, path=[], PYENV_ROOT=str(tmp_path / "pyenv"))) == expected


def test_asks_uv(checkout: Path, tmp_path: Path) -> None:
    python = pretend_python(tmp_path / "managed" / "python3.13")
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(
        f'#!/bin/sh\n[ "$*" = "python find --no-python-downloads 3.13" ] && echo "{python}"\n', encoding="utf-8"
    )
    uv.chmod(0o755)
    assert chosen(launch(checkout, path=[tmp_path / "bin"])) == python


def test_names_what_to_install(checkout: Path, tmp_path: Path) -> None:
    pretend_python(tmp_path / "bin" / "python3", is_313=False)
    answer = launch(checkout, path=[tmp_path / "bin"])
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert "uv python install 3.13" in answer.stderr
    assert "apt install python3.13" in answer.stderr


def test_names_the_package_that_a_distribution_splits_off(checkout: Path, tmp_path: Path) -> None:
    python = pretend_python(tmp_path / "bin" / "python3.13", has_venv=False)
    answer = launch(checkout, path=[tmp_path / "bin"])
    assert answer.returncode == 1
    assert f"{python} is Python 3.13 without venv" in answer.stderr


def test_takes_the_python_that_is_named(checkout: Path, tmp_path: Path) -> None:
    pretend_python(tmp_path / "bin" / "python3.13")
    python = pretend_python(tmp_path / "mine" / "python")
    assert chosen(launch(checkout, path=[tmp_path / "bin"], MOSAIC_PYTHON=str(python))) == python


def test_refuses_a_named_python_that_is_another_version(checkout: Path, tmp_path: Path) -> None:
    pretend_python(tmp_path / "bin" / "python3.13")
    other = pretend_python(tmp_path / "mine" / "python", is_313=False)
    answer = launch(checkout, path=[tmp_path / "bin"], MOSAIC_PYTHON=str(other))
    assert answer.returncode == 1
    assert f"MOSAIC_PYTHON={other}" in answer.stderr


def test_does_not_search_where_the_environment_stands(checkout: Path) -> None:
    python = pretend_python(checkout / ".venv" / "bin" / "python")
    (checkout / ".venv" / "mosaic.json").write_text("{}", encoding="utf-8")
    assert chosen(launch(checkout, path=[])) == python


def test_searches_where_the_environment_is_unfinished(checkout: Path, tmp_path: Path) -> None:
    pretend_python(checkout / ".venv" / "bin" / "python")
    python = pretend_python(tmp_path / "bin" / "python3.13")
    assert chosen(launch(checkout, path=[tmp_path / "bin"])) == python


def test_searches_where_the_environments_python_is_gone(checkout: Path, tmp_path: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to(tmp_path / "removed" / "python3.13")
    (checkout / ".venv" / "mosaic.json").write_text("{}", encoding="utf-8")
    python = pretend_python(tmp_path / "bin" / "python3.13")
    assert chosen(launch(checkout, path=[tmp_path / "bin"])) == python


# ----------------------------------------------------------------------------------------------------------- installing


@pytest.fixture
def old(tmp_path: Path, checkout: Path) -> Path:
    """A folder with a Python of another version, and a uv beside it that installs a Python that pretends."""
    bootstrap = checkout / "mosaic_ops" / "bootstrap"
    bootstrap.mkdir(parents=True)
    shutil.copy(LAUNCHER.parent / "mosaic_ops" / "bootstrap" / "install_python.py", bootstrap)
    folder = tmp_path / "old"
    folder.mkdir()
    program(
        folder / "python3",
        f"""case "$1:$2" in
    -c:*hexversion*) exit 0 ;;
    -c:*) exit 1 ;;
esac
exec "{sys.executable}" "$@"
""",
    )
    pretended = pretend_python(tmp_path / "pretended")
    program(
        folder / "uv",
        f"""[ "$1 $2 $3" = "python install 3.13" ] || exit 1
[ -z "$UV_FAILS" ] || exit 2
/bin/mkdir -p "$5/cpython-3.13.9-linux/bin"
/bin/cp "{pretended}" "$5/cpython-3.13.9-linux/bin/python3.13"
""",
    )
    return folder


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}", encoding="utf-8")
    path.chmod(0o755)


def is_installed(checkout: Path) -> bool:
    return any((checkout / ".mosaic" / "python").glob("*/bin/python3.13"))


def test_installs_python_where_that_is_wanted(checkout: Path, old: Path) -> None:
    answer = launch(checkout, "demo", path=[old], MOSAIC_INSTALL_PYTHON="1")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[1:] == ["<demo>"]
    assert is_installed(checkout)


def test_takes_what_it_has_installed_the_next_time(checkout: Path, old: Path) -> None:
    launch(checkout, path=[old], MOSAIC_INSTALL_PYTHON="1")
    (old / "uv").unlink()
    assert launch(checkout, path=[old]).returncode == 0


@pytest.mark.parametrize("said", [{}, {"MOSAIC_INSTALL_PYTHON": "0"}, {"MOSAIC_INSTALL_PYTHON": ""}])
def test_installs_nothing_unasked_and_says_how(checkout: Path, old: Path, said: dict[str, str]) -> None:
    answer = launch(checkout, path=[old], **said)
    assert answer.returncode == 1
    assert "MOSAIC_INSTALL_PYTHON=1 ./mosaic" in answer.stderr
    assert not is_installed(checkout)


def test_offers_nothing_without_any_python(checkout: Path, tmp_path: Path) -> None:
    answer = launch(checkout, path=[], MOSAIC_INSTALL_PYTHON="1")
    assert answer.returncode == 1
    assert "MOSAIC_INSTALL_PYTHON" not in answer.stderr


def test_says_what_to_do_where_python_cannot_be_fetched(checkout: Path, old: Path) -> None:
    answer = launch(checkout, path=[old], MOSAIC_INSTALL_PYTHON="1", UV_FAILS="1")
    assert answer.returncode == 1
    assert "UV_PYTHON_INSTALL_MIRROR" in answer.stderr
    assert "apt install python3.13" in answer.stderr


def test_uv_comes_from_the_index_in_an_environment_or_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Pythons of some distributions have no venv, those of others no pip."""
    for works in ("venv", "--target", ""):
        folder = tmp_path / (works or "neither")
        asked: list[list[str]] = []

        def run(argv: list[str], works: str = works, asked: list[list[str]] = asked, **_: object) -> object:
            asked.append(argv)
            place = Path(argv[-1]) if argv[-2] in ("venv", "--target") else Path(argv[0]).parents[1]
            if works in argv or ("--quiet" in argv and works == "venv" and "--target" not in argv):
                (place / "bin").mkdir(parents=True, exist_ok=True)
                program(place / "bin" / "uv", "")
                return subprocess.CompletedProcess(argv, 0)
            return subprocess.CompletedProcess(argv, 1)

        monkeypatch.setattr(subprocess, "run", run)
        uv = install_python.installed_uv(folder)
        assert uv == (str(folder / ".mosaic" / "uv" / "bin" / "uv") if works else None)
        assert all(str(folder / "requirements-bootstrap.txt") in argv for argv in asked if "pip" in argv)


def test_says_so_where_uv_cannot_be_had(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(install_python, "installed_uv", lambda _: None)
    assert install_python.main(["/nowhere"]) == 3
    assert "uv could not be installed from the package index" in capsys.readouterr().err


@pytest.mark.parametrize(("said", "installs"), [("y", True), ("yes", True), ("n", False), ("", False)])
def test_a_terminal_is_asked(checkout: Path, old: Path, said: str, installs: bool) -> None:
    ours, theirs = pty.openpty()
    try:
        os.write(ours, f"{said}\n".encode())
        subprocess.run(
            ["/bin/sh", str(checkout / "mosaic")],
            env={"PATH": str(old), "HOME": str(checkout)},
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
            timeout=30,
            check=False,
        )
    finally:
        os.close(theirs)
        os.close(ours)
    assert is_installed(checkout) is installs
