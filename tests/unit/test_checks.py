"""Each part of ./mosaic check finds what it is there for.

Secrets are put together at run time, so that none stands in the source.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mosaic_ops.checks import command, concurrency, leaks, pins, tracked
from mosaic_ops.checks.sources import TrackedFile, tracked_files

ROOT = Path(__file__).resolve().parents[2]


def file(root: Path, path: str, content: str | bytes, mode: str = "100644") -> TrackedFile:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content.encode() if isinstance(content, str) else content)
    return TrackedFile(path=path, mode=mode, root=root)


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("url = 'https://contoso" + ".servicebus.windows.net'", "endpoint"),
        ("https://Prod1.table" + ".core.windows.net/", "endpoint"),
        ("model = 'https://ours" + ".openai.azure.com'", "endpoint"),
        ("SharedAccessKey" + "=" + "Zm9vYmFyYmF6cXV4" * 3, "connection key"),
        ("AccountKey" + "=" + "Zm9vYmFyYmF6cXV4" * 5 + "Zm9vYg==", "connection key"),
        ("path = '/home/" + "someone/mosaic'", "machine path"),
        ("path = '/Users/" + "Someone/mosaic'", "machine path"),
        ("cd /roo" + "t/mosaic", "machine path"),
        ("--extra-index-url" + " https://packages.example", "package index"),
        ('"resolved"' + ': "https://packages.example/a.tgz"', "package index"),
        ("-----BEGIN RSA" + " PRIVATE KEY-----", "Private Key"),
        ("token = 'ghp_" + "a1B2" * 9 + "'", "GitHub Token"),
        ("key = 'AKIA" + "Z7QX" * 4 + "'", "AWS Access Key"),
    ],
)
def test_leaks_are_found(tmp_path: Path, line: str, rule: str) -> None:
    found = leaks.find([file(tmp_path, "a.py", f"fine = 1\n{line}\n")])
    assert any(finding.startswith(f"a.py:2: {rule}") for finding in found), found
    assert not any("Zm9v" in finding or "Z7QX" in finding for finding in found), "a finding must not repeat the secret"


@pytest.mark.parametrize(
    "line",
    [
        "Endpoint=sb://<namespace>.servicebus.windows.net/",
        "f'https://{account}.table.core.windows.net'",
        "https://example.servicebus.windows.net",
        "privatelink.servicebus.windows.net",
        "AccountKey=" + leaks.PUBLISHED_EMULATOR_KEY,
        "SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;",
        "/api/v1/home/page",
        "~/.pyenv/versions",
        "AKIA" + "Z7QX" * 4 + "  # pragma: allowlist secret",
    ],
)
def test_placeholders_are_no_leaks(tmp_path: Path, line: str) -> None:
    assert leaks.find([file(tmp_path, "a.py", line + "\n")]) == []


@pytest.mark.parametrize(
    ("path", "content", "what"),
    [
        (".venv/bin/python", "", "must not be tracked"),
        ("web/node_modules/a/index.js", "", "must not be tracked"),
        ("local.settings.json", "{}\n", "must not be tracked"),
        ("certificates/ca.pem", "", "must not be tracked"),
        ("data/large.csv", "a" * (tracked.LARGEST + 1) + "\n", "at most 1024 KiB"),
        ("a.py", "x = 1\r\n", "carriage returns"),
        ("a.py", "x = 1", "no newline"),
        ("a.py", "<" * 7 + " HEAD\n", "unfinished merge"),
        ("a.json", "{,}\n", "cannot be parsed"),
        ("a.toml", "a = \n", "cannot be parsed"),
        ("a.yaml", "a: [\n", "cannot be parsed"),
        ("mosaic", "#!/bin/sh\n", "must be executable"),
    ],
)
def test_files_that_must_not_be_tracked_so(tmp_path: Path, path: str, content: str, what: str) -> None:
    found = tracked.problems(tmp_path, [file(tmp_path, path, content)])
    assert any(finding.startswith(f"{path}: ") and what in finding for finding in found), found


def test_names_that_differ_in_case_only(tmp_path: Path) -> None:
    files = [file(tmp_path, "docs/A.md", "\n"), file(tmp_path, "docs/a.md", "\n")]
    assert any("in case only" in finding for finding in tracked.problems(tmp_path, files))


def test_what_a_newcomer_looks_for_must_be_there(tmp_path: Path) -> None:
    assert "README.md: missing" in tracked.problems(tmp_path, [])


def test_the_changelog_knows_the_version(tmp_path: Path) -> None:
    file(tmp_path, "pyproject.toml", '[project]\nversion = "1.2.0"\n')
    changelog = file(tmp_path, "CHANGELOG.md", "# Changelog\n\n## 1.1.0\n")
    assert any("CHANGELOG.md: no heading for 1.2.0" in finding for finding in tracked.problems(tmp_path, [changelog]))
    changelog = file(tmp_path, "CHANGELOG.md", "# Changelog\n\n## [1.2.0] - 2026-01-01\n")
    assert not any("heading" in finding for finding in tracked.problems(tmp_path, [changelog]))


def test_gits_index_says_what_is_tracked(tmp_path: Path) -> None:
    for arguments in (["init", "-q"], ["add", "-N", "a b.txt"]):
        file(tmp_path, "a b.txt", "text\n")
        file(tmp_path, "untracked.txt", "text\n")
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    assert [(entry.path, entry.mode) for entry in tracked_files(tmp_path)] == [("a b.txt", "100644")]


@pytest.fixture
def pinned(tmp_path: Path) -> Path:
    """The project's own pinned files, which are in order."""
    names = [path.name for path in ROOT.glob("requirements*.txt")]
    for name in [*names, "constraints.txt", "package.json", "package-lock.json"]:
        file(tmp_path, name, (ROOT / name).read_bytes())
    for path in (ROOT / "requirements").glob("*.*"):
        file(tmp_path, f"requirements/{path.name}", path.read_bytes())
    assert pins.problems(tmp_path) == []
    return tmp_path


def edit(path: Path, change: Callable[[str], str]) -> None:
    text = path.read_text(encoding="utf-8")
    assert change(text) != text
    path.write_text(change(text), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "change", "what"),
    [
        ("requirements.txt", lambda text: text + "loose>=1\n", "no exact pin"),
        ("requirements.txt", lambda text: text + "-e .\n", "is no requirement"),
        ("requirements.txt", lambda text: text.replace("aiohttp==", "aiohttp==0."), "but constraints.txt has"),
        ("requirements/app.in", lambda text: text + "something-new\n", "run ./mosaic pin"),
        ("requirements/app.in", lambda text: text + "pydantic>=99\n", "run ./mosaic pin"),
        ("requirements/wheels.txt", lambda text: text.replace("aiohttp==", "aiohttp==0."), "aiohttp 0."),
        ("requirements/wheels.txt", lambda text: text.replace("--hash=sha256:", "--hash=md5:"), "no pin with one hash"),
        ("requirements-scanner.txt", lambda text: text + "loose>=1\n", "no exact pin"),
        ("requirements/scanner.in", lambda text: text.replace("==3", "==4"), "run ./mosaic pin"),
        ("package.json", lambda text: text.replace("3.37.0", "3.38.0"), "is not locked"),
        ("package-lock.json", lambda text: text.replace('"integrity"', '"integrety"', 1), "no integrity hash"),
    ],
)
def test_pins_that_are_not_exact_or_not_of_one_mind(
    pinned: Path, name: str, change: Callable[[str], str], what: str
) -> None:
    edit(pinned / name, change)
    assert any(what in finding for finding in pins.problems(pinned)), pins.problems(pinned)


def test_the_app_leaves_no_work_behind_without_a_reason() -> None:
    assert concurrency.problems(ROOT) == []


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("await asyncio.gather(one(), two())", "gather"),
        ("await asyncio.gather(one(), return_exceptions=True)", "gather"),
        ("each_of = asyncio.gather", "gather"),
        ("asyncio.create_task(one())", "create_task"),
        ("asyncio.get_running_loop().create_task(one())", "create_task"),
        ("loop.create_task(one())", "create_task"),
        ("asyncio.Task(one())", "Task"),
        ("asyncio.ensure_future(one())", "ensure_future"),
        ("asyncio.run_coroutine_threadsafe(one(), loop)", "run_coroutine_threadsafe"),
        ("await asyncio.shield(one())", "shield"),
        ("for done in asyncio.as_completed([one()]): await done", "as_completed"),
        ("await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)", "wait"),
        ("await asyncio.wait(tasks, timeout=1, return_when=asyncio.FIRST_EXCEPTION)", "wait"),
        ("await asyncio.wait(tasks, return_when=when)", "wait"),
        ("from asyncio import gather", "gather"),
        ("from asyncio import wait", "wait"),
        ("import asyncio as aio", "asyncio under another name"),
    ],
)
def test_work_that_may_outlive_its_caller_is_found(tmp_path: Path, line: str, call: str) -> None:
    source = f"import asyncio\n\n\nclass Lane:\n    async def step(self):\n        def inner():\n            {line}\n"
    file(tmp_path, "mosaic_core/lanes/new.py", source)
    (found,) = concurrency.problems(tmp_path, {})
    assert found.startswith(f"mosaic_core/lanes/new.py:7: {call} in Lane.step.inner: ")
    allowed = {("mosaic_core/lanes/new.py", "Lane.step.inner", call): "because"}
    assert concurrency.problems(tmp_path, allowed) == []
    elsewhere = {("mosaic_core/lanes/new.py", "Lane.step", call): "because"}
    assert len(concurrency.problems(tmp_path, elsewhere)) == 2


def test_a_permission_that_nothing_uses_is_found(tmp_path: Path) -> None:
    file(tmp_path, "mosaic_core/lanes/new.py", "async def step():\n    await together(one(), two())\n")
    allowed = {("mosaic_core/lanes/new.py", "step", "gather"): "because"}
    assert concurrency.problems(tmp_path, allowed) == [
        "mosaic_core/lanes/new.py: step has no gather any more: drop its permission"
    ]


@pytest.mark.parametrize(
    "line", ["await asyncio.wait({task})", "await asyncio.wait(tasks, return_when=asyncio.ALL_COMPLETED)", "gather()"]
)
def test_waiting_for_all_of_it_is_no_finding(tmp_path: Path, line: str) -> None:
    file(tmp_path, "mosaic_core/lanes/new.py", f"import asyncio\n\nasync def step():\n    {line}\n")
    assert concurrency.problems(tmp_path, {}) == []


def test_every_part_runs_and_the_failures_are_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> str:
        raise RuntimeError("the tool is broken")

    listed = [
        command.Part("first", lambda: "a.py:1: wrong"),
        command.Part("second", broken),
        command.Part("third", lambda: ""),
    ]
    monkeypatch.setattr(command, "parts", lambda **_: listed)
    assert command.main([]) == 1
    captured = capsys.readouterr()
    assert [line[0] for line in captured.out.splitlines() if line[:1] in "✓✗"] == ["✗", "✗", "✓"]
    assert "a.py:1: wrong" in captured.out
    assert "the tool is broken" in captured.out
    assert "2 of 3 failed" in captured.err


def test_a_part_that_does_not_exist_is_a_usage_error() -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(["--only", "nothing"])
