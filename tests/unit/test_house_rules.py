"""What the repository asks of whoever changes it: hooks, owners, a way to report."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import yaml

from mosaic_ops.checks import command

ROOT = Path(__file__).resolve().parents[2]


def test_hooks_run_parts_of_the_check_and_fetch_nothing() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    assert {repository["repo"] for repository in config["repos"]} == {"local"}
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert {hook["language"] for hook in hooks} == {"system"}
    parts = {part.name for part in command.parts(with_platforms=False)}
    for hook in hooks:
        program, verb, *only = shlex.split(hook["entry"])
        assert (program, verb) == ("./mosaic", "check")
        assert only == [] or (only[0] == "--only" and only[1] in parts), hook["entry"]
    assert any(hook["entry"] == "./mosaic check" and hook["stages"] == ["pre-push"] for hook in hooks)


def test_every_path_that_has_owners_is_there() -> None:
    lines = (ROOT / ".github" / "CODEOWNERS").read_text("utf-8").splitlines()
    owned = [line.split() for line in lines if line and not line.startswith("#")]
    assert owned[0][0] == "*", "everything has an owner"
    for pattern, *owners in owned:
        assert owners, pattern
        assert all(re.fullmatch(r"@[\w-]+/[\w-]+", owner) for owner in owners), pattern
        assert pattern == "*" or list(ROOT.glob(pattern.strip("/"))), f"{pattern} names nothing"


def test_every_place_that_a_newcomer_is_sent_to_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    changes = text.partition("### Ten changes")[2].partition("\n## ")[0]
    assert len(re.findall(r"^\| (?!asked for)", changes, re.MULTILINE)) == 10
    named = set(re.findall(r"`((?:mosaic_\w+|docs|infra|tests|bench|requirements)/[\w./*-]*)", text))
    assert len(named) >= 25
    assert {path for path in named if not list(ROOT.glob(path.rstrip("/")))} == set()


def test_a_weakness_is_reported_in_private() -> None:
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    assert "never in an issue" in text
    assert "docs/security.md" in text
