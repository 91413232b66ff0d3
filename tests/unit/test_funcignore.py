"""One list of files, whichever way the .funcignore is read in: of the checkout, and of the staged package."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mosaic_ops.packaging import staging
from mosaic_ops.packaging.wheels import PLAIN
from tests.support.funcignore import by_core_tools, by_git

ROOT = Path(__file__).resolve().parents[2]
CHECKOUT = (ROOT / ".funcignore").read_text("utf-8")
SITE = ".python_packages/lib/site-packages"

WAYS = [pytest.param(by_core_tools, id="core tools"), pytest.param(by_git, id="git")]

LEFT_LYING = [
    ".azure/prod/.env",
    ".env",
    ".git/config",
    ".git/hooks/pre-commit",
    ".github/workflows/ci.yml",
    ".mosaic/running.json",
    ".mypy_cache/3.13/x.json",
    ".python_packages/lib/site-packages/azure/functions/__init__.py",
    ".venv/lib/python3.13/site-packages/pip/__init__.py",
    ".vscode/settings.json",
    "__pycache__/function_app.cpython-313.pyc",
    "app_env/pyvenv.cfg",
    "bench.json",
    "data/households.csv",
    "dist/app/function_app.py",
    "dist/app/mosaic_core/config.py",
    "dist/manifest.json",
    "function_app_backup.py",
    "key.pem",
    "local.settings.json",
    "mosaic_core/__pycache__/config.cpython-313.pyc",
    "mosaic_core/adapters/__pycache__/x.cpython-313.pyc",
    "mosaic_core/adapters/.env",
    "mosaic_core/domain/.DS_Store",
    "mosaic_core/domain/notes.md",
    "mosaic_core/domain/dump.json",
    "mosaic_core/key.pem",
    "node_modules/azurite/index.js",
    "notes.md",
    "requirements-secret.txt",
    "tests/mosaic_core/x.py",
    "x",
]
"""What may lie in somebody's checkout beside what is tracked."""


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.split("\0") if path]


def shipped() -> list[str]:
    """The exact list: what the package takes of the checkout, and the parts that it leaves to the tools."""
    return sorted(staging.own_files(ROOT))


@pytest.mark.parametrize("read", WAYS)
def test_a_remote_build_gets_the_app_and_nothing_else(read: Callable[[str, list[str]], list[str]]) -> None:
    assert read(CHECKOUT, sorted({*tracked(), *LEFT_LYING})) == shipped()


def test_every_file_that_the_app_needs_is_tracked() -> None:
    assert set(shipped()) <= set(tracked())


STAGED = [
    *PLAIN,
    "function_app.py",
    "host.json",
    "build.json",
    "__pycache__/function_app.cpython-313.pyc",
    "mosaic_core/config.py",
    "mosaic_core/__pycache__/config.cpython-313.pyc",
    "mosaic_core/domain/policy/words.toml",
    f"{SITE}/azure/functions/__init__.py",
    f"{SITE}/azure/functions/__pycache__/__init__.cpython-313.pyc",
    f"{SITE}/azure_core-1.41.0.dist-info/METADATA",
    f"{SITE}/opentelemetry_api-1.44.0.dist-info/entry_points.txt",
    f"{SITE}/opentelemetry_api-1.44.0.dist-info/licenses/LICENSE",
    f"{SITE}/msrest/README.md",
    f"{SITE}/grpc/tests/test_x.py",
    f"{SITE}/docs/x.md",
    f"{SITE}/bench/x.py",
    f"{SITE}/package.json",
    f"{SITE}/tests/__init__.py",
    f"{SITE}/.hidden/x",
]


@pytest.mark.parametrize("read", WAYS)
def test_everything_of_the_staged_folder_is_uploaded(read: Callable[[str, list[str]], list[str]]) -> None:
    """Tests, notes and caches within packages included: what is left out there, something imports."""
    assert read(staging.IGNORE_TEXT, STAGED) == sorted(STAGED)


@pytest.mark.parametrize("read", WAYS)
def test_an_environment_that_azd_made_there_is_not(read: Callable[[str, list[str]], list[str]]) -> None:
    made = ["app_env/pyvenv.cfg", "app_env/bin/python", "app_env/lib/python3.13/site-packages/.hidden/x.py"]
    assert read(staging.IGNORE_TEXT, [*STAGED, *made]) == sorted(STAGED)


@pytest.mark.parametrize(
    ("line", "path", "core_tools", "git"),
    [
        ("tests/", f"{SITE}/grpc/tests/test_x.py", True, False),
        ("*.md", f"{SITE}/msrest/README.md", True, False),
        ("*.md", "README.md", False, False),
        ("__pycache__/", "mosaic_core/__pycache__/x.pyc", True, False),
        ("/docs", "docs/x.md", False, False),
        ("/docs", "docs-old/x.md", False, True),
        ("/app_env/", "app_env/.hidden", True, False),
        ("/a/*", "a/b/c", False, False),
        ("/*", "anything/below", False, False),
        ("/data\n!/data/kept", "data/kept", True, False),
        ("/data/*\n!/data/kept", "data/kept", True, True),
        ("/*\n!/host.json", "host.json.bak", True, False),
    ],
)
def test_where_the_two_ways_differ(line: str, path: str, core_tools: bool, git: bool) -> None:
    """Why every line here is anchored, and none ends in a slash that both have to understand. What none can mend: for
    Core Tools a name with more behind it, such as host.json.bak, is the name."""
    assert by_core_tools(line, [path]) == ([path] if core_tools else [])
    assert by_git(line, [path]) == ([path] if git else [])
