"""The workflows: one package for all environments, actions by digest, no more rights than needed; and the script that
makes the Bicep compiler's warnings failures."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.documents import ROOT, read

WORKFLOWS = sorted(path.name for path in (ROOT / ".github" / "workflows").glob("*.yml"))
CALLED = "environment.yml"


def workflow(name: str) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(read(f".github/workflows/{name}"))
    return found


def steps(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for job, parts in workflow(name)["jobs"].items():
        for step in parts.get("steps", []):
            yield job, step


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned_by_digest_with_the_version_beside_it(name: str) -> None:
    used = re.findall(r"^ *(?:- )?uses: (\S+)(.*)$", read(f".github/workflows/{name}"), re.MULTILINE)
    assert used
    for action, comment in used:
        if action.startswith("./"):
            assert (ROOT / action).is_file(), action
        else:
            assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", action), action
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action


def test_an_action_has_one_version_in_all_workflows() -> None:
    used = {
        (action, digest)
        for name in WORKFLOWS
        for action, digest in re.findall(r"uses: ([\w.-]+/[\w.-]+)\S*@(\w+)", read(f".github/workflows/{name}"))
    }
    assert len(used) == len({action for action, _ in used}) >= 7


@pytest.mark.parametrize("name", WORKFLOWS)
def test_nobody_has_more_rights_than_are_needed(name: str) -> None:
    assert workflow(name)["permissions"] in ({}, {"contents": "read"})
    for job, parts in workflow(name)["jobs"].items():
        assert "secrets" not in parts, job
        for right, level in parts.get("permissions", {}).items():
            if level == "write":
                assert (name, job, right) in {
                    ("codeql.yml", "analyse", "security-events"),
                    ("deploy.yml", "build", "attestations"),
                    ("deploy.yml", "build", "id-token"),
                    ("deploy.yml", "staging", "id-token"),
                    ("deploy.yml", "plan", "id-token"),
                    ("deploy.yml", "production", "id-token"),
                    ("environment.yml", "environment", "id-token"),
                    ("updates.yml", "pins", "contents"),
                    ("updates.yml", "pins", "pull-requests"),
                }
    text = read(f".github/workflows/{name}")
    assert "secrets." not in text
    assert "pull_request_target" not in text


@pytest.mark.parametrize("name", WORKFLOWS)
def test_jobs_end_and_their_scripts_take_values_by_environment_alone(name: str) -> None:
    for job, parts in workflow(name)["jobs"].items():
        assert ("uses" in parts) != ("timeout-minutes" in parts), job
    for job, step in steps(name):
        assert "${{" not in step.get("run", ""), f"{job}: what is put into a script's text can be a script"
        for script in re.findall(r"(?:^|\s)((?:\.ci|infra/scripts)/[\w.-]+)", step.get("run", "")):
            assert (ROOT / script).stat().st_mode & 0o111, script
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is (name == "updates.yml"), job


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_failure_within_a_pipe_is_a_failure(name: str) -> None:
    """The shell that a step gets without naming one has no pipefail."""
    if any("|" in step.get("run", "") for _, step in steps(name)):
        assert workflow(name)["defaults"] == {"run": {"shell": "bash"}}
    assert not [step for _, step in steps(name) if "shell" in step]


def test_one_package_goes_everywhere_and_production_comes_last() -> None:
    jobs = workflow("deploy.yml")["jobs"]
    builds = [(name, job) for name in WORKFLOWS for job, step in steps(name) if "mosaic package" in step.get("run", "")]
    assert builds == [("deploy.yml", "build")]
    calls = {name: job for name, job in jobs.items() if job.get("uses") == f"./.github/workflows/{CALLED}"}
    assert {name: (job["with"]["environment"], job["with"]["apply"]) for name, job in calls.items()} == {
        "staging": ("staging", True),
        "plan": ("production-plan", False),
        "production": ("production", True),
    }
    assert {job["with"]["digest"] for job in calls.values()} == {"${{ needs.build.outputs.digest }}"}
    assert {"staging", "plan", "build"} == set(jobs["production"]["needs"])
    assert jobs["build"]["needs"] == "ci"
    assert workflow("deploy.yml")["concurrency"]["cancel-in-progress"] is False


def test_an_environment_takes_only_what_was_built_and_changes_nothing_before() -> None:
    order = [step.get("name") or step.get("uses") or step["run"] for _, step in steps(CALLED)]
    texts = [f"{step.get('uses', '')}{step.get('run', '')}" for _, step in steps(CALLED)]

    def place(part: str) -> int:
        (found,) = [number for number, text in enumerate(texts) if part in text]
        return found

    assert place("sha256sum --check") < place("azure/login@") < place("what-if") < place("deployment sub create")
    assert "gh attestation verify" in texts[place("sha256sum --check")]
    assert (
        place("deployment sub create") < place("update-strategy.sh") < place("mosaic publish") < place("mosaic smoke")
    ), order
    for _, step in steps(CALLED):
        changes = re.search(
            r"deployment sub create|strategy|mosaic publish|config-zip|mosaic smoke", step.get("run", "")
        )
        assert not changes or step["if"] == "${{ inputs.apply }}", step["name"]
    (login,) = [step for _, step in steps(CALLED) if "azure/login" in step.get("uses", "")]
    assert set(login["with"]) == {"client-id", "tenant-id", "subscription-id"}


def test_ci_is_the_one_script() -> None:
    assert [step["run"] for job, step in steps("ci.yml") if job == "check" and "run" in step] == [".ci/run"]
    versions = {
        job["env"]["BICEP_VERSION"]
        for name in ("ci.yml", CALLED)
        for job in workflow(name)["jobs"].values()
        if "env" in job
    }
    assert len(versions) == 1


@pytest.mark.parametrize(
    ("told", "ended", "status"),
    [
        ("", 0, 0),
        ("WARNING: A new Bicep release is available: v9.9.9.", 0, 0),
        ('WARNING: main.bicep(3,7) : Warning no-unused-params: Parameter "x" is declared but never used.', 0, 1),
        ('main.bicep(9,3) : Error BCP018: Expected the "=" character at this location.', 1, 1),
        ("", 1, 1),
    ],
)
def test_a_warning_of_the_compiler_is_a_failure(tmp_path: Path, told: str, ended: int, status: int) -> None:
    (tmp_path / "told").write_text(told)
    az = tmp_path / "az"
    az.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/called"\ncat "{tmp_path}/told" >&2\nexit {ended}\n')
    az.chmod(0o755)
    file = tmp_path / "main.bicep"
    file.write_text("param x string\n")
    answer = subprocess.run(
        [ROOT / ".ci" / "bicep", file], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True
    )
    assert answer.returncode == status, answer.stdout
    assert told in answer.stdout
    assert [line.split()[1] for line in (tmp_path / "called").read_text().splitlines()] == ["build", "lint"]


def test_a_file_that_is_missing_is_a_failure(tmp_path: Path) -> None:
    answer = subprocess.run([ROOT / ".ci" / "bicep", tmp_path / "none.bicep"], capture_output=True, text=True)
    assert (answer.returncode, answer.stdout) == (1, f"bicep: {tmp_path}/none.bicep is missing\n")
