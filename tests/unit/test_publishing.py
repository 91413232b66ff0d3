"""Publishing waits for Azure, and for nothing else."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from mosaic_ops import publishing
from mosaic_ops.cli import COMMANDS
from mosaic_ops.packaging.archive import sha256
from mosaic_ops.publishing import Publishing, Tried

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = Tried(1, "", "ERROR: Operation returned an invalid status 'Forbidden'")
DONE = Tried(0, "{}", "")


class Azure:
    """Answers one after the other; time passes only in pauses."""

    def __init__(self, *answers: Tried) -> None:
        self.answers, self.asked, self.said = list(answers), list[list[str]](), list[str]()
        self.now = 0.0

    def run(self, arguments: Sequence[str]) -> Tried:
        self.asked.append(list(arguments))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def publishing(self, seconds: float = 900) -> Publishing:
        return Publishing(
            resource_group="rg",
            app="func",
            seconds=seconds,
            run=self.run,
            pause=self.pause,
            monotonic=lambda: self.now,
            say=self.said.append,
        )


@pytest.mark.parametrize(
    "words",
    [
        "ERROR: Operation returned an invalid status 'Forbidden'",
        "ERROR: Status Code: 403, Details: The service is unavailable",
        "ERROR: Zip deployment failed. {'status': 503}",
        "HTTP Error 502: Bad Gateway",
        "ERROR: Operation returned an invalid status 'Service Unavailable'",
        "Max retries exceeded ... Temporary failure in name resolution",
        "ERROR: Deployment with id is in progress. Conflict",
        "The read operation timed out",
        "ERROR: Operation returned an invalid status 'Forbidden'\nContent: {}\n",
        "Getting scm site credentials\nERROR: An error occured during deployment.\nStatus Code: 503",
    ],
)
def test_what_passes_is_tried_again(words: str) -> None:
    azure = Azure(Tried(1, "", words), Tried(1, "", words), DONE)
    assert azure.publishing().publish(Path("x.zip")) == DONE
    assert len(azure.asked) == 3
    assert azure.asked[0] == shlex.split(
        "functionapp deployment source config-zip --resource-group rg --name func --src x.zip --build-remote false "
        "--output json"
    )
    assert [line.split(":")[1] for line in azure.said] == [" try 1", " try 2"]


@pytest.mark.parametrize(
    "words",
    [
        "ERROR: Please run 'az login' to setup account. (403)",
        "ERROR: AADSTS700082: the refresh token has expired",
        "ERROR: (ResourceNotFound) The Resource 'Microsoft.Web/sites/func' was not found.",
        "ERROR: unrecognized arguments: --build-remote",
        "",
    ],
)
def test_what_waiting_does_not_help_is_told_at_once(words: str) -> None:
    azure = Azure(Tried(1, "", words))
    assert azure.publishing().publish(Path("x.zip")).code == 1
    assert (len(azure.asked), azure.now) == (1, 0)


def test_it_ends_when_its_time_is_over() -> None:
    azure = Azure(FORBIDDEN)
    assert azure.publishing(seconds=65).publish(Path("x.zip")) == FORBIDDEN
    assert (len(azure.asked), azure.now) == (4, 60)


@pytest.mark.parametrize(
    ("answer", "has"),
    [
        (Tried(0, '[{"name": "func/sweep_lane"}]', ""), True),
        (Tried(0, "[]", ""), False),
        (Tried(0, "", ""), False),
        (Tried(1, "", "Bad Request"), False),
    ],
)
def test_an_app_that_cannot_tell_has_no_functions(answer: Tried, has: bool) -> None:
    assert Azure(answer).publishing().has_functions() is has


# ------------------------------------------------------------------------------------- the command, with an az on PATH


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    folder.mkdir()
    (folder / "mosaic-0.1.0.zip").write_bytes(b"zip")
    zipped = {"name": "mosaic-0.1.0.zip", "sha256": sha256(folder / "mosaic-0.1.0.zip")}
    (folder / "manifest.json").write_text(json.dumps({"zip": zipped, "digest": "d" * 64}))
    return folder


@pytest.fixture
def az(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    def put(script: str) -> Path:
        program, asked = tmp_path / "bin" / "az", tmp_path / "asked"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\necho "$@" >> "{asked}"\n{script}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setattr(publishing, "AGAIN_SECONDS", 0.01)
        return asked

    return put


def publish(package: Path, *more: str) -> int:
    return publishing.main(["--resource-group", "rg", "--app", "func", "--package", str(package), *more])


def test_the_command_publishes_after_two_refusals(
    package: Path, az: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count = f'[ "$(wc -l < "{tmp_path}/asked")" -gt 2 ] || {{ echo "ERROR: 403 Forbidden" >&2; exit 1; }}; echo "{{}}"'
    asked = az(count)
    assert publish(package) == 0
    assert len(asked.read_text().splitlines()) == 3
    assert "d" * 64 in capsys.readouterr().out


def test_the_first_package_only(package: Path, az: Callable[[str], Path]) -> None:
    asked = az('echo \'[{"name": "func/x"}]\'')
    assert publish(package, "--first") == 0
    assert [line.split()[:3] for line in asked.read_text().splitlines()] == [["functionapp", "function", "list"]]


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("echo 'ERROR: Please run az login' >&2; exit 1", 3),
        ("echo 'ERROR: 503' >&2; exit 1", 3),
        ("echo 'ERROR: no such app' >&2; exit 1", 1),
    ],
)
def test_exit_codes(package: Path, az: Callable[[str], Path], script: str, code: int) -> None:
    az(script)
    assert publish(package, "--timeout", "0") == code


def test_without_az_it_is_not_reachable(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert publish(package) == 3


def test_a_package_that_is_not_whole_is_not_published(package: Path, az: Callable[[str], Path]) -> None:
    asked = az("exit 0")
    (package / "mosaic-0.1.0.zip").write_bytes(b"another")
    assert publish(package) == 1
    (package / "manifest.json").unlink()
    assert publish(package) == 1
    assert not asked.exists()


# ---------------------------------------------------------------------------------------------------------- azure.yaml


def azure_yaml() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "azure.yaml").read_text("utf-8"))
    return loaded


def hooks() -> dict[str, list[dict[str, Any]]]:
    found = azure_yaml()["hooks"]
    return {name: it if isinstance(it, list) else [it] for name, it in found.items()}


def test_azd_takes_the_staged_folder_and_builds_nothing() -> None:
    said = azure_yaml()
    assert said["services"] == {
        "app": {"project": "dist/app", "host": "function", "language": "python", "remoteBuild": False}
    }
    assert (ROOT / said["infra"]["path"]).name == "infra"
    # a hook of a service would start in its folder, which is not there before the first package
    assert all("hooks" not in service for service in said["services"].values())


@pytest.mark.parametrize("name", ["prepackage", "postprovision", "predeploy", "postdeploy"])
def test_hooks_give_commands_what_these_take(name: str, tmp_path: Path) -> None:
    """Each is run by sh, with a ./mosaic that looks at its arguments as the real one does."""
    root = tmp_path / "checkout"
    root.mkdir()
    stand_in = root / "mosaic"
    stand_in.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/tests/support/arguments.py" "$@"\n')
    stand_in.chmod(0o755)
    values = {
        "AZURE_RESOURCE_GROUP": "rg x",
        "AZURE_FUNCTION_APP_NAME": "func-x",
        "AZURE_FUNCTION_APP_URL": "https://func-x.sites.example",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    told = ""
    for hook in hooks()[name]:
        assert hook["shell"] == "sh"
        if hook["run"].startswith("./infra/"):
            assert os.access(ROOT / hook["run"], os.X_OK)
            continue
        ended = subprocess.run(
            ["sh", "-c", hook["run"]], cwd=root, env={**os.environ, **values}, capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stderr
        told += ended.stdout
    for line in told.splitlines():
        assert json.loads(line)["command"] in COMMANDS
    assert told


def test_hooks_name_outputs_of_the_infrastructure() -> None:
    """What azd has in its environment are the outputs of main.bicep."""
    main = ROOT / "infra" / "main.bicep"
    text = main.read_text("utf-8")
    for hook in (one for several in hooks().values() for one in several):
        for part in hook["run"].split('"$')[1:]:
            assert f"output {part.partition(chr(34))[0]} string" in text, part
