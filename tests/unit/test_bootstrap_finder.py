"""How ./mosaic finds Python 3.13, on machines made of folders with programs that pretend."""

import shutil
import subprocess
from pathlib import Path

import pytest

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
