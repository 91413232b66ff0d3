"""The two ways of reading a .funcignore."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

_NEVER_TAKEN = frozenset({".funcignore", ".gitignore", "local.settings.json", "project.lock.json"})
_NEVER_ENTERED = frozenset({".git", ".vscode"})
_SPECIAL = re.compile(r"[\-\[\]/{}()+?.\\^$|]")


def _core_tools_pattern(lines: Sequence[str]) -> re.Pattern[str]:
    """All lines as one, anchored at the root. It has to end at a word's boundary, and what follows is free."""

    def pattern(line: str) -> str:
        escaped = _SPECIAL.sub(lambda found: "\\" + found[0], line.removeprefix("/"))
        return escaped.replace("**", "(.+)").replace("*", "([^/]+)")

    if not lines:
        return re.compile(r"$^")
    return re.compile(f"^(({')|('.join(pattern(line) for line in lines)}))\\b", re.ASCII)


def by_core_tools(text: str, paths: Iterable[str]) -> list[str]:
    """What Core Tools upload of these files (GitIgnoreParser and FileSystemHelpers of 4.x)."""
    lines = [line.strip() for line in text.split("\n")]
    lines = [line for line in lines if line and not line.startswith("#")]
    ignored = _core_tools_pattern([line for line in lines if not line.startswith("!")])
    kept = _core_tools_pattern([line.removeprefix("!") for line in lines if line.startswith("!")])
    return sorted(
        path
        for path in paths
        if PurePosixPath(path).name.lower() not in _NEVER_TAKEN
        and not {part.lower() for part in PurePosixPath(path).parts[:-1]} & _NEVER_ENTERED
        and (kept.match(path) or not ignored.match(path))
    )


def by_git(text: str, paths: Iterable[str]) -> list[str]:
    """What azd and the GitHub action upload: what git itself would not ignore. azd leaves the file itself out, the
    action does where it is told to look at it."""
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        for path in paths:
            if PurePosixPath(path).parts[0] != ".git":  # which git does not list in any case
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).touch()
        (root / "ignored").write_text(text, "utf-8")
        environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        environ |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        for command in (["init", "-q"], ["ls-files", "--others", "-z", "--exclude-from=ignored"]):
            answer = subprocess.run(
                ["git", *command], cwd=root, env=environ, capture_output=True, text=True, check=True
            )
        listed = [path for path in answer.stdout.split("\0") if path]
    return sorted(path for path in listed if PurePosixPath(path).name not in ("ignored", "local.settings.json"))
