"""The documents name only what is there: files, headings, tests, settings, commands."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from mosaic_ops.cli import COMMANDS
from tests.support.documents import ROOT, blocks, missing, prose, read

DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "mosaic_local").glob("*.md")]
)
OPERATED = ("README.md", "docs/runbook.md", "CONTRIBUTING.md")
GUIDES = ("docs/deploy.md", "docs/local.md", "docs/costs.md", "docs/capacity.md", "docs/security.md", "docs/backup.md")
"""Of a deployment: what they show is run by the tests, or says what it needs (``sh azure``)."""
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_PROGRAM = re.compile(r"^(\./mosaic|curl|func|azd|az|docker|pip|npm|aspire|traces|cp|git|\.venv/bin/\S+)( |$)")
_TEST = re.compile(r"(?P<file>[\w/]+/test_\w+\.py)(?:::(?P<name>test_\w+))?")

ANSWERED_AT_ONCE = {
    "in_progress",
    "configuration_invalid",
    "queue_unavailable",
    "illegal_transition",
    "mosaic_error",
    "lane_failed",
    "lease_lost",
    "resumed_elsewhere",
    "proposal_invalid",
    "too_many_proposals",
    "answer_cut_short",
    "budget_spent",
    "computing_stopped",
    "identity_refused",
    "identity_unavailable",
    "replay_stopped",
    "subject_unknown",
    "turn_ended",
}
"""Codes of errors that no run ends with: told at start or to a caller, or handled within."""

SEED_HEADINGS = [
    "Scope",
    "Guardrails",
    "Prerequisites",
    "Queue Retry And Dead-Letter Workflow",
    "Replay Drill (After Fix)",
    "Trace Correlation Procedure",
    "Common Failure Modes",
    "Evidence Checklist For Release Gates",
]
OUTCOMES = [
    "success",
    "success that a person must look at",
    "duplicate of a finished command",
    "duplicate of one in progress, or not yet due",
    "attempt failed, attempts left",
    "a later attempt succeeds",
    "5 attempts failed",
    "unsupported command type",
    "invalid JSON or envelope",
    "same id, other request",
    "key already Rejected",
    "tables not reachable (or one of them, or blobs)",
    "a copy cannot be sent (queue full, no right, link down)",
    "a step fails for another reason (a row that cannot be read, a refused request)",
    "another message of the conversation is at work, or the lane is full",
    "worker draining",
    "telemetry publish failed",
    "agent model not reachable",
    "process died, lock lost",
]


def anchors(document: str) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def named_tests(file: str) -> frozenset[str]:
    """The names of a test file's functions, those of classes included; empty where there is no such file."""
    path = ROOT / file
    if not path.is_file():
        return frozenset()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


def rows(document: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head."""
    text = read(document).split(f"\n## {heading}\n", 1)[-1].split("\n## ", 1)[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    for match in _LINK.finditer(prose(document)):
        target, _, anchor = match["target"].partition("#")
        if "://" in target:
            continue
        file = (ROOT / document).parent / target if target else ROOT / document
        assert file.exists(), f"{document}: {match[0]}"
        if anchor:
            assert anchor in anchors(str(file.resolve().relative_to(ROOT))), f"{document}: {match[0]}"


@pytest.mark.parametrize("document", [*OPERATED, *GUIDES])
def test_paths_are_there(document: str) -> None:
    made = {".venv", ".mosaic", "azure.yaml", "local.settings.json", "dist/manifest.json"}
    for code in _CODE.findall(prose(document)):
        path = code.split("::")[0].rstrip("/")
        if re.fullmatch(
            r"(\.?[\w-]+/)*[\w.-]+\.(py|md|json|txt|yaml|in)|(mosaic_\w+|tests|docs|bench)(/[\w-]+)*", path
        ):
            here = [ROOT / path, ROOT / "requirements" / path]
            assert path in made or any(place.exists() for place in here), f"{document}: {code}"


@pytest.mark.parametrize("document", [*OPERATED, *GUIDES])
def test_every_command_named_is_in_this_release(document: str) -> None:
    for name in re.findall(r"\./mosaic (?!--)([\w-]+)", read(document)):
        command = COMMANDS.get(name)
        assert command is not None, f"{document}: ./mosaic {name}"
        assert importlib.util.find_spec(command.module) is not None, f"{document}: ./mosaic {name}"


@pytest.mark.parametrize("document", ["README.md", "docs/runbook.md", *GUIDES])
def test_commands_are_where_they_are_run(document: str) -> None:
    """What a reader would type is in an ``sh`` fence, which the end-to-end test runs, or in the list of exceptions."""
    for block in blocks(document):
        assert block.info in ("sh", "text", "text seen") or block.needs in ("azure", "docker"), block
        if not block.is_commands and not block.needs:
            for line in map(str.strip, block.text.splitlines()):
                command = line.split("  #")[0].rstrip()
                assert not _PROGRAM.match(command), f"{block}: {line}"


def test_what_is_shown_follows_what_prints_it() -> None:
    for document in ("README.md", "docs/runbook.md"):
        for before, after in pairwise(b for b in blocks(document) if b.info != "text"):
            assert not after.is_seen or before.is_commands, after


@pytest.mark.parametrize("document", GUIDES)
def test_settings_that_a_guide_names_exist(document: str) -> None:
    """The app's groups of settings, by any of their names; other programs have settings of their own."""
    known = read("docs/reference/settings.md")
    groups = {name.split("__")[0] for name in re.findall(r"`(\w+__\w+)`", known)}
    named = {name for name in re.findall(r"`(\w+__\w+)`", read(document)) if name.split("__")[0] in groups}
    assert {name for name in named if f"`{name}`" not in known} == set()


def test_settings_that_the_readme_names_exist() -> None:
    known = read("docs/reference/settings.md")
    named = set(re.findall(r"`(\w+__\w+|\w+Connection)(?:=\w+)?`", read("README.md")))
    assert len(named) >= 10
    assert {name for name in named if f"`{name}`" not in known} == set()


def test_the_runbook_keeps_its_headings_in_order() -> None:
    headings = re.findall(r"^## (.*)$", prose("docs/runbook.md"), re.MULTILINE)
    assert [heading for heading in headings if heading in SEED_HEADINGS] == SEED_HEADINGS


def test_the_runbook_has_every_outcome_with_its_test() -> None:
    table = rows("docs/runbook.md", "Common Failure Modes")
    assert [row[0] for row in table] == OUTCOMES
    for row in table:
        (name,) = _CODE.findall(row[-1])
        file, _, test = name.rpartition("::")
        files = [file] if file else ["tests/e2e/test_outcomes.py", "tests/e2e/test_outcomes_broken.py"]
        assert any(test in named_tests(path) for path in files), row


def test_every_fault_is_listed_once_with_tests_that_exist() -> None:
    lines = re.findall(r"^\| (\d+) \| .*$", read("docs/faults.md"), re.MULTILINE)
    assert [int(number) for number in lines] == list(range(1, len(lines) + 1))
    assert len(lines) >= 37
    for line in read("docs/faults.md").splitlines():
        if re.match(r"\| \d+ \|", line):
            shown = line.strip("|").split(" | ")[-1]
            named = _CODE.findall(shown)
            assert named or shown.strip() == "next release", line
            for reference in named:
                file, _, test = reference.partition("::")
                assert test in named_tests(f"tests/{file}"), reference


@pytest.mark.parametrize("document", [*OPERATED, *GUIDES])
def test_tests_that_a_document_names_exist(document: str) -> None:
    for match in _TEST.finditer(read(document)):
        names = named_tests(match["file"])
        assert names, match[0]
        assert match["name"] is None or match["name"] in names, match[0]


def test_every_feature_of_the_embedded_stack_names_its_test() -> None:
    heads = features = 0
    for line in read("docs/embedded-stack.md").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")] if line.startswith("|") else []
        if cells == ["feature", "is", "how", "test"]:
            heads += 1
        elif heads and len(cells) == 4 and (cells[1].startswith(("as Azure", "differs", "refused"))):
            features += 1
            assert _TEST.search(cells[3]) or cells[3] == "the same", line
    assert (heads, features >= 50) == (8, True), (heads, features)


def test_every_decision_is_in_the_index_under_its_title() -> None:
    listed = dict(re.findall(r"^\| \[\d+\]\((\S+)\) \| (.*) \|$", read("docs/adr/README.md"), re.MULTILINE))
    records = sorted(path for path in (ROOT / "docs" / "adr").glob("*.md") if path.name != "README.md")
    assert sorted(listed) == [path.name for path in records]
    for number, path in enumerate(records, start=1):
        text = path.read_text(encoding="utf-8")
        assert path.name.startswith(f"{number:04}-")
        assert text.startswith(f"# {number}. {listed[path.name]}\n")
        assert re.search(r"^Date: \d{4}-\d{2}-\d{2}\. Status: (accepted|superseded by .*)\.$", text, re.MULTILINE)
        for heading in ("Context", "Decision", "Alternatives", "Consequences"):
            assert f"\n## {heading}\n" in text or (number == 1 and heading == "Alternatives"), (path, heading)


@pytest.mark.parametrize(
    ("seen", "output", "lacks"),
    [
        ("a…c\nd", "x\n  abbc  \ny\nd\n", None),
        ("a\nb", "b\na\n", "b"),
        ("a", "ab", "a"),
        ("a…", "", "a…"),
        ("a.c", "abc", "a.c"),
    ],
)
def test_what_is_shown_is_held_line_by_line(seen: str, output: str, lacks: str | None) -> None:
    assert missing(seen, output) == lacks


def test_blocks_of_a_list_lose_its_indentation() -> None:
    text = "1. do\n\n   ```sh\n   if true; then\n     echo a\n   fi\n   ```\n"
    (block,) = blocks("x.md", text)
    assert (block.line, block.info, block.text) == (3, "sh", "if true; then\n  echo a\nfi\n")


def test_the_documents_are_found() -> None:
    assert {*OPERATED, "CHANGELOG.md", "docs/faults.md", "docs/adr/README.md"} <= set(DOCUMENTS)
    assert all(Path(ROOT / document).is_file() for document in DOCUMENTS)


def _codes() -> Iterator[tuple[str, str]]:
    """(code, where) of every code that a lane, an agent or an error can give to a run."""
    folders = ("domain", "services", "lanes", "agents", "adapters")
    for path in (p for f in folders for p in (ROOT / "mosaic_core" / f).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.AnnAssign) and isinstance(target := node.target, ast.Name)
            if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        }

        def text(node: ast.expr, known: dict[str, str] = constants) -> str | None:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                return node.value
            return known.get(node.id) if isinstance(node, ast.Name) else None

        for node in ast.walk(tree):
            found: list[ast.expr] = []
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id.endswith("Error"):
                    found = [k.value for k in node.keywords if k.arg == "code"]
                elif node.func.id in ("needs_review", "_refused") and path.is_relative_to(ROOT / "mosaic_core/lanes"):
                    found = node.args[:1]
            elif isinstance(node, ast.ClassDef) and node.name.endswith("Error"):
                assigned = (n for n in node.body if isinstance(n, ast.Assign))
                found = [n.value for n in assigned if getattr(n.targets[0], "id", "") == "code"]
            yield from ((code, path.name) for part in found if (code := text(part)))


def test_every_code_that_a_run_can_carry_is_in_the_runbook() -> None:
    """At night: find the code, do what its row says."""
    runbook, codes = read("docs/runbook.md"), dict(_codes())
    assert {"lane_timeout", "approval_expired", "agent_session_changed", "approval_same_person"} <= {
        *codes,
        "lane_timeout",
    }
    missing_ones = {c: at for c, at in codes.items() if c not in ANSWERED_AT_ONCE and f"`{c}`" not in runbook}
    assert missing_ones == {}
