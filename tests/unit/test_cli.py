"""The command line's first word: help without imports, exit codes, commands that are not there."""

import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from mosaic_ops import cli

ROOT = Path(__file__).resolve().parents[2]


def command(monkeypatch: pytest.MonkeyPatch, run: Callable[[list[str]], object]) -> None:
    """Registers `run` as the command `probe`."""
    module = types.ModuleType("probe_command")
    module.__dict__["main"] = run
    module.__spec__ = types.SimpleNamespace()  # type: ignore[assignment]  # find_spec only asks whether there is one
    monkeypatch.setitem(sys.modules, "probe_command", module)
    monkeypatch.setitem(cli.COMMANDS, "probe", cli.Command("probe_command", "", "Run"))


def test_help_lists_every_command_of_this_release(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")}
    assert {"demo", "up", "env", "token", "test", "check", "bench"} <= listed <= set(cli.COMMANDS)
    absent = set(cli.COMMANDS) - listed
    assert all(cli.main([name]) == 2 for name in absent)


def test_help_and_version_import_no_package() -> None:
    program = (
        "import sys; from mosaic_ops.cli import main; main(['--help']); main(['--version']);"
        "heavy = {name.split('.')[0] for name in sys.modules} & {'typer', 'rich', 'pydantic', 'azure', 'mosaic_local'};"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr


def test_the_version_is_the_projects(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    version = capsys.readouterr().out.split()[1]
    assert f'version = "{version}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_a_mistyped_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["tset"]) == 2
    assert "did you mean test?" in capsys.readouterr().err


def test_a_command_of_a_later_release_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(cli.COMMANDS, "probe", cli.Command("mosaic_ops.no_such.module", "", "Run"))
    assert cli.main(["probe"]) == 2
    assert "not in this release" in capsys.readouterr().err


def _raise(error: BaseException) -> object:
    raise error


@pytest.mark.parametrize(
    ("run", "code"),
    [
        (lambda _: None, 0),
        (lambda _: 1, 1),
        (lambda _: _raise(SystemExit(3)), 3),
        (lambda _: _raise(SystemExit(None)), 0),
        (lambda _: _raise(SystemExit("what is wrong")), 1),
        (lambda _: _raise(ConnectionRefusedError("localhost:7071")), 3),
        (lambda _: _raise(KeyboardInterrupt()), 130),
    ],
)
def test_exit_codes(monkeypatch: pytest.MonkeyPatch, run: Callable[[list[str]], object], code: int) -> None:
    command(monkeypatch, run)
    assert cli.main(["probe"]) == code


def test_arguments_reach_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    command(monkeypatch, seen.append)
    cli.main(["probe", "--user", "alice"])
    assert seen == [["--user", "alice"]]
