"""What a verb imports before it answers: nobody waits for another verb's packages."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from mosaic_ops.ops import app

ROOT = Path(__file__).resolve().parents[2]
HEAVY = (
    "aiohttp",
    "azure",
    "cryptography",
    "grpc",
    "jwt",
    "opentelemetry",
    "proton",
    "mosaic_local",
    "mosaic_core.adapters",
)
"""What no reading verb needs before it knows that it has to look into a queue."""

READING = (
    ("status",),
    ("runs", "--status", "NeedsReview"),
    ("trace", "0f3c"),
    ("signals",),
    ("members", "list", "--household", "a" * 32),
    ("replay", "--status", "0f3c" * 8),
)


def imported(*words: str) -> set[str]:
    """Modules that a process has after the verb was refused by a port where nobody listens."""
    program = (
        "import sys; from mosaic_ops.cli import main;"
        f"code = main(['ops', '--url', 'http://127.0.0.1:9', '--token-command', 'echo token', *{words!r}]);"
        "print(code); print(*sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    code, modules = answer.stdout.splitlines()[-2:]
    assert code == "3", answer.stderr
    return set(modules.split())


@pytest.mark.parametrize("words", READING, ids=lambda words: words[0])
def test_a_reading_verb_imports_its_own_and_nothing_heavy(words: tuple[str, ...]) -> None:
    modules = imported(*words, "--json")
    assert {name for name in modules if name.startswith(HEAVY)} == set()
    assert not {"rich.console", "rich.progress"} & modules
    assert not {f"mosaic_ops.ops.{other}" for other in ("evidence", "households", "steering")} & modules


def test_the_table_of_verbs_is_what_the_modules_register() -> None:
    command: Any = typer.main.get_command(app.whole())
    assert {verb for verbs in app.VERBS.values() for verb in verbs} | {"completion"} == set(command.commands)


def test_each_module_registers_its_verbs_by_itself() -> None:
    """A verb that needs another module to be imported first would be unknown where it is typed."""
    program = (
        "import importlib, json, sys, typer\n"
        "from mosaic_ops.ops.app import VERBS\n"
        "found = {}\n"
        "for module in VERBS:\n"
        "    for name in [name for name in sys.modules if name.startswith('mosaic_ops.ops.')]: del sys.modules[name]\n"
        "    importlib.import_module(f'mosaic_ops.ops.{module}')\n"
        "    found[module] = list(typer.main.get_command(sys.modules['mosaic_ops.ops.here'].app).commands)\n"
        "print(json.dumps(found))"
    )
    answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    registered = json.loads(answer.stdout)
    for module, verbs in app.VERBS.items():
        assert set(verbs) <= set(registered[module]), module


@pytest.mark.parametrize(
    ("arguments", "module"),
    [
        (["trace", "x"], "runs"),
        (["--state", "runs", "logs"], "told"),
        (["--url=https://x", "--token-command", "signals", "lane", "pause"], "steering"),
        (["--help"], None),
        ([], None),
        (["tarce"], None),
        (["--state"], None),
        (["completion", "bash"], None),
        (["--help", "runs"], None),
    ],
)
def test_the_typed_verb_is_found_behind_the_options(arguments: list[str], module: str | None) -> None:
    assert app.module_of(arguments) == module
