"""The folder that is deployed: put together from the checkout and the wheels, held against the list of what may ship.

::

    function_app.py  host.json  requirements.txt  build.json
    mosaic_core/**                                    the app
    .python_packages/lib/site-packages/**             the wheels, whole
    .funcignore                                       for the tools that publish the folder; never uploaded
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mosaic_core.config import Build
from mosaic_ops.packaging.archive import digest
from mosaic_ops.packaging.errors import PackagingError
from mosaic_ops.packaging.wheels import Wheel, contents

SITE_PACKAGES: Final = ".python_packages/lib/site-packages"
OWN_FILES: Final = ("function_app.py", "host.json", "requirements.txt")
OWN_SUFFIXES: Final = frozenset({".py", ".toml", ".html", ".css", ".js", ".svg"})
BUILD_FILE: Final = "build.json"
IGNORE_FILE: Final = ".funcignore"
IGNORE_TEXT: Final = """\
# Everything in this folder is deployed. Without this file azd would leave out every __pycache__.
# app_env is what `azd restore` would make here.
/app_env
"""

_CACHES: Final = re.compile(r"(^|/)(__pycache__/.*|[^/]+\.pyc|\.DS_Store)$")
_COMPILED: Final = re.compile(r"(?P<folder>.*/)?__pycache__/(?P<module>[^/]+)\.cpython-313\.pyc")


@dataclass(frozen=True, slots=True)
class Source:
    """Which state of the sources this is. ``uncommitted``: paths of what ships, or says how, that the commit lacks."""

    version: str
    commit: str
    uncommitted: tuple[str, ...]

    @classmethod
    def of(cls, root: Path, version: str) -> Source:
        commit = _git(root, "rev-parse", "--verify", "HEAD").strip()
        if not commit:
            return cls(version, "unknown", ())
        inputs = [*OWN_FILES, "mosaic_core", "requirements", "pyproject.toml", "mosaic_ops/packaging"]
        inputs.append("docs/reference/functions.json")
        inputs += [path.name for path in root.glob("requirements-*.txt")]
        told = _git(root, "status", "--porcelain", "--untracked-files=all", "--no-renames", "-z", "--", *inputs)
        return cls(version, commit, tuple(sorted(entry[3:] for entry in told.split("\0") if entry)))


def _git(root: Path, *arguments: str) -> str:
    """What git says; "" where there is no git, or no checkout of ours."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        top = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "--show-toplevel"],
            capture_output=True,
            text=True,
            check=True,
            env=environ,
        )
        if Path(top.stdout.strip()).resolve() != root.resolve():
            return ""
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, env=environ
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def own_files(root: Path) -> Iterator[str]:
    """Paths of the checkout's files that ship. Raises PackagingError that names each file in mosaic_core that is of no
    kind that ships: a key, a note, a backup."""
    yield from OWN_FILES
    strangers = []
    for path in sorted((root / "mosaic_core").rglob("*")):
        relative = path.relative_to(root).as_posix()
        if (path.is_dir() and not path.is_symlink()) or _CACHES.search(relative):
            continue
        if path.is_symlink() or path.suffix not in OWN_SUFFIXES:
            strangers.append(relative)
        else:
            yield relative
    if strangers:
        raise PackagingError(f"of no kind that ships, remove or move them: {', '.join(strangers)}")


def stage(
    root: Path, folder: Path, own: Iterable[str], wheels: Iterable[Wheel], source: Source, requirements: str
) -> list[str]:
    """Fills the empty ``folder`` with the checkout's ``own`` files and the wheels; returns the modules that do not
    compile. ``requirements`` is the text of the requirements.txt that ships. Raises PackagingError."""
    expected = set()
    for path in own:
        content = requirements.encode() if path == "requirements.txt" else (root / path).read_bytes()
        _write(folder / path, content)
        expected.add(path)
    owner: dict[str, str] = {}
    for wheel in wheels:
        for path, content in contents(wheel):
            target = f"{SITE_PACKAGES}/{path}"
            if target in owner and (folder / target).read_bytes() != content:
                raise PackagingError(f"{path} is in {owner[target]} and, with other content, in {wheel.name}")
            owner[target] = wheel.name
            _write(folder / target, content)
    expected |= owner.keys()
    skipped = [*_compile(folder, "."), *_compile(folder, SITE_PACKAGES)]
    expected |= {_cache_of(path) for path in expected if path.endswith(".py") and path not in skipped}
    code = Build.of({}, folder).package_digest
    build = {
        "version": source.version,
        "commit": source.commit,
        "dirty": bool(source.uncommitted),
        "digest": digest(folder, files(folder)),
        "code": code,
    }
    _write(folder / BUILD_FILE, (json.dumps(build, indent=2) + "\n").encode())
    check(folder, expected | {BUILD_FILE})
    return skipped


def check(folder: Path, expected: Iterable[str]) -> None:
    """Raises PackagingError where the folder holds anything else than the expected files, or they are not allowed."""
    there, expected = set(files(folder)), set(expected)
    wrong = [f"unexpected: {path}" for path in sorted(there - expected)]
    wrong += [f"missing: {path}" for path in sorted(expected - there)]
    wrong += [f"not allowed: {path}" for path in sorted(there) if not is_allowed(path)]
    wrong += [f"no plain file: {path}" for path in sorted(there) if (folder / path).is_symlink()]
    if wrong:
        raise PackagingError("the package is not what it should be:\n" + "\n".join(wrong[:20]))


def is_allowed(path: str) -> bool:
    """Whether a file of this path may ship at all."""
    if path in OWN_FILES or path == BUILD_FILE or path.startswith(f"{SITE_PACKAGES}/"):
        return True
    compiled = _COMPILED.fullmatch(path)
    if compiled:
        path = f"{compiled['folder'] or ''}{compiled['module']}.py"
        if path == "function_app.py":
            return True
    return path.startswith("mosaic_core/") and Path(path).suffix in OWN_SUFFIXES


def files(folder: Path) -> list[str]:
    """Paths of all files that are uploaded, sorted."""
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(name for path in found if (name := path.relative_to(folder).as_posix()) != IGNORE_FILE)


def _compile(folder: Path, below: str) -> list[str]:
    """Compiles what is importable from ``folder/below``; returns what does not compile, as paths in ``folder``."""
    script = Path(__file__).with_name("bytecode.py")
    argv = [sys.executable, "-I", "-S", "-X", "no_debug_ranges", str(script), str(folder / below)]
    answer = subprocess.run(argv, capture_output=True, text=True)
    if answer.returncode != 0:
        raise PackagingError(f"compiling failed:\n{answer.stderr[-1500:]}")
    return [f"{below}/{line}" if below != "." else line for line in answer.stdout.splitlines()]


def _cache_of(path: str) -> str:
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}__pycache__/{name.removesuffix('.py')}.cpython-313.pyc"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
