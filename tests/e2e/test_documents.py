"""The documents' commands run as they are written, in order, in one shell for each document, against a stack of their
own; what the documents say that one will see is what comes out."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from mosaic_local.stack import Stack, StackOptions
from mosaic_ops import cli
from tests.e2e.conftest import FAST
from tests.support.documents import ROOT, Block, blocks, missing

LONGEST = 900.0
"""Seconds that a document's commands may take on a machine that others keep busy."""

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(LONGEST + 60)]

DOCUMENTS = ("README.md", "docs/runbook.md", "docs/costs.md", "docs/backup.md")

ELSEWHERE = {
    "./mosaic demo": "run by tests/e2e/test_demo.py",
    "./mosaic test": "this very run",
    "./mosaic up": "the stack that the other commands run against; run by tests/contract/test_stack.py",
}
"""Commands of ``sh`` blocks that this test leaves out, and what runs them instead."""

_MARK = "@@ block"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One of its own: the documents begin with an empty ledger. Its first look at what it builds on is behind it: on a
    machine that others keep busy, that one may not end in time."""
    with Stack(StackOptions(app_settings=FAST)) as running:
        code = cli.main(["ops", "wait", "api", "--status", "healthy", "--state", str(running.state_dir)])
        assert code == 0
        yield running


@pytest.fixture(scope="module")
def checkout(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which ``./mosaic`` is this checkout's, and finds this test's stack and no other."""
    folder = tmp_path_factory.mktemp("checkout")
    wrapper = folder / "mosaic"
    state = shlex.quote(str(stack.state_dir))
    wrapper.write_text(
        "#!/bin/sh\n"
        f'case "$1 $2" in env*|token*|ops*|"policy dry-run") set -- "$@" --state {state} ;; esac\n'
        f'PYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} -m mosaic_ops.cli "$@"\n'
    )
    wrapper.chmod(0o755)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def commands(document: str) -> list[Block]:
    return [block for block in blocks(document) if block.is_commands and not _left_out(block)]


def _left_out(block: Block) -> bool:
    return all(line in ELSEWHERE for line in block.text.splitlines())


@pytest.mark.parametrize(
    "document",
    [
        # more than fifty processes of the tool, most of a minute
        pytest.param(document, marks=pytest.mark.slow) if document == "docs/runbook.md" else document
        for document in DOCUMENTS
    ],
)
def test_the_commands_of_a_document_run(document: str, checkout: Path, tmp_path: Path) -> None:
    if shutil.which("bash") is None or shutil.which("curl") is None:
        pytest.fail("the documents' commands need bash and curl")
    listed = commands(document)
    script = ["set -eu"]
    for number, block in enumerate(listed):
        script += [f"echo '{_MARK} {number}'", block.text]
    script.append(f"echo '{_MARK} {len(listed)}'")
    log = tmp_path / "output"
    with log.open("wb") as file:
        ended = subprocess.run(
            ["bash", "-c", "\n".join(script)],
            cwd=checkout,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            timeout=LONGEST,
        )
    output = log.read_text(encoding="utf-8", errors="replace")
    parts = output.split(_MARK)[1:]
    last = listed[min(len(parts), len(listed)) - 1]
    assert ended.returncode == 0, f"{last} ended with {ended.returncode}:\n{parts[-1] if parts else output}"
    assert len(parts) == len(listed) + 1
    printed = dict(zip(listed, parts, strict=False))
    for block, following in pairwise(b for b in blocks(document) if b.is_commands or b.is_seen):
        if following.is_seen:
            line = missing(following.text, printed[block])
            assert line is None, f"{following} shows a line that {block} did not print: {line!r}\n{printed[block]}"


def _environment() -> dict[str, str]:
    """The caller's, with this Python as ``python3``, and no proxy between curl and the stack."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, "no_proxy": "127.0.0.1,localhost", "NO_PROXY": "127.0.0.1,localhost"}


def test_what_is_left_out_is_in_the_documents() -> None:
    written = {line for document in DOCUMENTS for block in blocks(document) for line in block.text.splitlines()}
    assert written >= set(ELSEWHERE)
