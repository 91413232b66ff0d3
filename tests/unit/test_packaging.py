"""The package: of the same sources always the same, and nothing in it that does not belong there."""

from __future__ import annotations

import importlib.util
import json
import marshal
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mosaic_core.config import Build
from mosaic_ops.packaging import archive, bytecode, command, staging, wheels
from mosaic_ops.packaging.errors import PackagingError
from tests.support.packages import bill_faults, make_checkout, make_wheel

ROOT = Path(__file__).resolve().parents[2]
SITE = ".python_packages/lib/site-packages"
TEXT = "License :: OSI Approved :: MIT License"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where pip finds wheels: here and nowhere else."""
    folder = tmp_path / "store"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def checkout(tmp_path: Path, store: Path) -> Path:
    first = make_wheel(
        store,
        "first",
        "1.0",
        {
            "first/__init__.py": "def name(): return 'first'\n",
            "first/tests/test_first.py": "x = {'b', 'a', 'c'} == frozenset('abc')\n",
            "first/notes.md": "notes\n",
            "first/template.py": "this is {{ no }} python\n",
            "first-1.0.dist-info/entry_points.txt": "[opentelemetry_context]\nx = first:name\n",
            "first-1.0.dist-info/LICENSE": "Do as you please.\n",
            "first-1.0.data/scripts/first": "#!python\n",
            "first-1.0.data/purelib/moved.py": "y = 1\n",
        },
        more=f"License-Expression: MIT OR Apache-2.0\nRequires-Dist: second>=1\nClassifier: {TEXT}",
    )
    second = make_wheel(store, "second", "2.0", {"second.py": "z = 1\n"}, more=f"Classifier: {TEXT}")
    return make_checkout(tmp_path / "checkout", {"first==1.0": first, "second==2.0": second})


@pytest.fixture(autouse=True)
def _fetched_by_hand(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip takes a second: only what is about fetching asks it."""
    if "by_pip" in request.fixturenames or "store" not in request.fixturenames:
        return
    store: Path = request.getfixturevalue("store")

    def fetch(root: Path, files: object, folder: Path) -> list[wheels.Wheel]:
        return [wheels.open_wheel(path) for path in sorted(store.iterdir())]

    monkeypatch.setattr(wheels, "fetch", fetch)


@pytest.fixture
def by_pip() -> None:
    """The wheels come as in a real build."""


def build(root: Path, out: Path) -> command.Package:
    return command.build(root, out)


@pytest.mark.usefixtures("by_pip")
def test_two_builds_are_one_package(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = build(checkout, tmp_path / "one")
    other = tmp_path / "elsewhere" / "a longer name"
    shutil.copytree(checkout, other)
    for path in sorted(other.rglob("*"), reverse=True):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o700)
    for name, value in {
        "PYTHONOPTIMIZE": "2",
        "PYTHONNODEBUGRANGES": "1",
        "PYTHONHASHSEED": "7",
        "LC_ALL": "C",
        "TZ": "Asia/Tokyo",
        "PIP_NO_CACHE_DIR": "1",
        "GIT_DIR": "/nowhere",
    }.items():
        monkeypatch.setenv(name, value)
    before = os.umask(0o077)
    try:
        two = build(other, tmp_path / "two")
    finally:
        os.umask(before)
    assert one.manifest == two.manifest
    for name in ("sbom.cdx.json", "licences.txt", "manifest.json", one.zip.name):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    states = [
        {
            path.relative_to(package.folder): (path.stat().st_mode, path.stat().st_mtime)
            for path in package.folder.rglob("*")
        }
        for package in (one, two)
    ]
    assert states[0] == states[1]


def test_what_ships_is_this_list(checkout: Path, tmp_path: Path) -> None:
    package = build(checkout, tmp_path / "dist")
    cache = "__pycache__/{}.cpython-313.pyc"
    assert [file["path"] for file in package.manifest["files"]] == sorted(
        [
            "build.json",
            "function_app.py",
            cache.format("function_app"),
            "host.json",
            "requirements.txt",
            "mosaic_core/__init__.py",
            "mosaic_core/" + cache.format("__init__"),
            "mosaic_core/domain/__init__.py",
            "mosaic_core/domain/" + cache.format("__init__"),
            "mosaic_core/domain/lanes.py",
            "mosaic_core/domain/" + cache.format("lanes"),
            "mosaic_core/domain/words.toml",
            f"{SITE}/first/__init__.py",
            f"{SITE}/first/" + cache.format("__init__"),
            f"{SITE}/first/notes.md",
            f"{SITE}/first/template.py",
            f"{SITE}/first/tests/test_first.py",
            f"{SITE}/first/tests/" + cache.format("test_first"),
            f"{SITE}/first-1.0.dist-info/LICENSE",
            f"{SITE}/first-1.0.dist-info/METADATA",
            f"{SITE}/first-1.0.dist-info/RECORD",
            f"{SITE}/first-1.0.dist-info/WHEEL",
            f"{SITE}/first-1.0.dist-info/entry_points.txt",
            f"{SITE}/moved.py",
            f"{SITE}/" + cache.format("moved"),
            f"{SITE}/second.py",
            f"{SITE}/" + cache.format("second"),
            f"{SITE}/second-2.0.dist-info/METADATA",
            f"{SITE}/second-2.0.dist-info/RECORD",
            f"{SITE}/second-2.0.dist-info/WHEEL",
        ]
    )
    assert package.skipped == [f"{SITE}/first/template.py"]
    assert package.manifest["functions"] == ["health_live", "health_ready"]
    with zipfile.ZipFile(package.zip) as zipped:
        entries = zipped.infolist()
        assert [entry.filename for entry in entries] == [file["path"] for file in package.manifest["files"]]
        assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
        assert {entry.date_time for entry in entries} == {archive.TIME.timetuple()[:6]}
        zipped.extractall(tmp_path / "unpacked")
    assert archive.digest(tmp_path / "unpacked", staging.files(tmp_path / "unpacked")) == package.manifest["digest"]
    assert (package.folder / "requirements.txt").read_text() == "first==1.0\nsecond==2.0\n"


def test_no_file_names_the_building_machine(checkout: Path, tmp_path: Path) -> None:
    package = build(checkout, tmp_path / "dist")
    for file in package.manifest["files"]:
        assert str(tmp_path).encode() not in (package.folder / file["path"]).read_bytes(), file["path"]


def test_compiled_modules_are_taken_unchecked_and_name_their_real_place(checkout: Path, tmp_path: Path) -> None:
    package = build(checkout, tmp_path / "dist")
    compiled = package.folder / "mosaic_core/domain/__pycache__/lanes.cpython-313.pyc"
    head = compiled.read_bytes()[:16]
    assert head[:4] == importlib.util.MAGIC_NUMBER
    assert int.from_bytes(head[4:8], "little") == bytecode.UNCHECKED_HASH
    assert head[8:] == importlib.util.source_hash((package.folder / "mosaic_core/domain/lanes.py").read_bytes())
    source = package.folder / "mosaic_core/domain/lanes.py"
    source.write_text("raise RuntimeError('the source was read')\n")
    program = "import mosaic_core.domain.lanes as it; print(it.lane.__code__.co_filename)"
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPYCACHEPREFIX"}
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=package.folder, env=environ, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == str(source)


def test_compiled_modules_do_not_depend_on_what_else_is_in_memory(tmp_path: Path) -> None:
    """A name that somebody else has interned is written in another way by marshal's newer formats."""
    source = tmp_path / "module.py"
    source.write_text("def outer():\n    class Inner:\n        pass\n\n    return Inner\n")
    script = Path(bytecode.__file__)
    made = []
    for before in ("", "import sys; kept = sys.intern('outer.<locals>.Inner'); "):
        run = f"runpy.run_path({str(script)!r}, run_name='__main__')"
        program = f"{before}import runpy, sys; sys.argv = ['', {str(tmp_path)!r}]; {run}"
        subprocess.run([sys.executable, "-S", "-c", program], check=True)
        made.append((tmp_path / "__pycache__/module.cpython-313.pyc").read_bytes())
    assert made[0] == made[1]
    assert marshal.loads(made[0][16:]).co_filename == "module.py"


@pytest.mark.parametrize("name", ["key.pem", "notes.md", "domain/lanes.py.orig", "domain/.env", "data.json", "run.sh"])
def test_a_file_of_another_kind_is_refused_by_name(checkout: Path, tmp_path: Path, name: str) -> None:
    (checkout / "mosaic_core" / name).write_text("x")
    with pytest.raises(PackagingError, match=rf"mosaic_core/{name}"):
        build(checkout, tmp_path / "dist")
    assert not (tmp_path / "dist" / "app").exists()


def test_a_link_is_refused_by_name(checkout: Path, tmp_path: Path) -> None:
    (checkout / "mosaic_core" / "linked.py").symlink_to(checkout / "mosaic_ops" / "tool.py")
    with pytest.raises(PackagingError, match=r"mosaic_core/linked\.py"):
        build(checkout, tmp_path / "dist")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("function_app.py", True),
        ("__pycache__/function_app.cpython-313.pyc", True),
        ("mosaic_core/domain/lanes.py", True),
        ("mosaic_core/domain/__pycache__/lanes.cpython-313.pyc", True),
        (f"{SITE}/anything/tests/x.md", True),
        ("mosaic_ops/memory/stores.py", False),
        ("mosaic_core/domain/__pycache__/lanes.cpython-312.pyc", False),
        ("mosaic_ops/cli.py", False),
        ("mosaic_ops/__pycache__/cli.cpython-313.pyc", False),
        ("tests/test_x.py", False),
        ("evals/x.jsonl", False),
        ("docs/contract.md", False),
        ("local.settings.json", False),
        (".env", False),
        (".python_packages/lib/other.py", False),
    ],
)
def test_the_list_of_what_may_ship(path: str, allowed: bool) -> None:
    assert staging.is_allowed(path) is allowed


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda folder: (folder / "extra.py").write_text(""), "unexpected: extra.py"),
        (lambda folder: (folder / "host.json").unlink(), "missing: host.json"),
        (lambda folder: (folder / "extra").symlink_to(folder), "unexpected: extra"),
    ],
)
def test_the_folder_is_held_against_what_was_to_be_in_it(
    checkout: Path, tmp_path: Path, change: Callable[[Path], object], what: str
) -> None:
    package = build(checkout, tmp_path / "dist")
    expected = [file["path"] for file in package.manifest["files"]]
    staging.check(package.folder, expected)
    change(package.folder)
    with pytest.raises(PackagingError, match=what):
        staging.check(package.folder, expected)


@pytest.mark.parametrize("edit", ["mosaic_core/domain/words.toml", "host.json", "function_app.py"])
def test_another_source_is_another_digest(checkout: Path, tmp_path: Path, edit: str) -> None:
    before = build(checkout, tmp_path / "dist").manifest["digest"]
    (checkout / edit).write_text((checkout / edit).read_text() + "\n")
    assert build(checkout, tmp_path / "dist").manifest["digest"] != before


def test_what_the_tools_alone_need_changes_nothing(checkout: Path, tmp_path: Path) -> None:
    before = build(checkout, tmp_path / "dist").manifest
    (checkout / "mosaic_ops/memory/stores.py").write_text("other = 1\n")
    (checkout / "tests/test_x.py").write_text("other = 1\n")
    assert build(checkout, tmp_path / "dist").manifest == before


@pytest.mark.parametrize(
    "change",
    [
        lambda root, out: (root / "host.json").write_text("{}"),
        lambda root, out: (root / "mosaic_core/new.py").write_text(""),
        lambda root, out: (root / "docs/reference/functions.json").write_text("[]"),
        lambda root, out: (root / "requirements.txt").write_text("first==1.0\n"),
        lambda root, out: (out / "app/host.json").write_text("{}"),
        lambda root, out: (out / "app/extra.py").write_text(""),
        lambda root, out: (out / "manifest.json").unlink(),
        lambda root, out: (out / "mosaic-0.1.0.zip").write_bytes(b""),
        lambda root, out: (root / "mosaic_core/key.pem").write_text(""),
    ],
)
def test_a_package_is_current_until_anything_is_another(
    checkout: Path, tmp_path: Path, change: Callable[[Path, Path], object]
) -> None:
    build(checkout, tmp_path / "dist")
    assert command.is_current(checkout, tmp_path / "dist", wheels.PLAIN)
    assert not command.is_current(checkout, tmp_path / "dist", wheels.MODEL)
    (checkout / "tests/test_x.py").write_text("other = 1\n")
    assert command.is_current(checkout, tmp_path / "dist", wheels.PLAIN)
    change(checkout, tmp_path / "dist")
    assert not command.is_current(checkout, tmp_path / "dist", wheels.PLAIN)


def test_a_package_that_is_current_is_not_built_again(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "ROOT", checkout)
    arguments = ["--if-needed", "--out", str(tmp_path / "dist")]
    assert command.main(arguments) == 0
    before = (tmp_path / "dist/manifest.json").stat().st_ino
    assert command.main(arguments) == 0
    assert (tmp_path / "dist/manifest.json").stat().st_ino == before
    (checkout / "host.json").write_text("{}")
    assert command.main(arguments) == 0
    assert (tmp_path / "dist/manifest.json").stat().st_ino != before


def test_health_shows_the_package_s_digest(checkout: Path, tmp_path: Path) -> None:
    package = build(checkout, tmp_path / "dist")
    assert Build.of({}, package.folder).package_digest == package.manifest["digest"]
    (package.folder / "host.json").write_text("{}")
    assert Build.of({}, package.folder).package_digest != package.manifest["digest"]


# -------------------------------------------------------------------------------------------------------------- wheels


@pytest.mark.usefixtures("by_pip")
def test_another_file_than_the_locked_one_is_refused(checkout: Path, store: Path, tmp_path: Path) -> None:
    make_wheel(store, "second", "2.0", {"second.py": "z = 'another'\n"})
    with pytest.raises(PackagingError, match=r"(?i)hash"):
        build(checkout, tmp_path / "dist")


@pytest.mark.usefixtures("by_pip")
def test_pins_that_are_not_locked_are_refused(checkout: Path, tmp_path: Path) -> None:
    with (checkout / "requirements.txt").open("a") as file:
        file.write("third==1.0\n")
    with pytest.raises(PackagingError, match=r"third nothing, but 1\.0 is pinned; run \./mosaic pin"):
        build(checkout, tmp_path / "dist")


def test_the_lock_takes_the_wheel_that_runs_there(store: Path, tmp_path: Path) -> None:
    """Not the one of the building machine, whose C library may be newer, nor a source distribution."""
    wanted = make_wheel(store, "native", "1.0", {"n.py": "a"}, tag="cp313-cp313-manylinux2014_x86_64")
    for tag in (
        "cp313-cp313-manylinux_2_34_x86_64",
        "cp313-cp313-macosx_11_0_arm64",
        "cp314-cp314-manylinux2014_x86_64",
    ):
        make_wheel(store, "native", "1.0", {"n.py": tag}, tag=tag)
    root = make_checkout(tmp_path / "checkout", {"native==1.0": wanted})
    before = wheels.read_lock(root)
    (root / wheels.LOCK).unlink()
    wheels.write_lock(root, wheels.shipped_files(root))
    assert wheels.read_lock(root) == before


def test_the_lock_keeps_what_stands_and_drops_what_is_gone(checkout: Path, store: Path) -> None:
    before = wheels.read_lock(checkout)
    (store / "first-1.0-py3-none-any.whl").unlink()  # not asked for again
    third = make_wheel(store, "third", "3.0", {"third.py": ""})
    (checkout / "requirements.txt").write_text(
        "first==1.0\nthird==3.0 ; sys_platform == 'linux'\nfourth==4 ; sys_platform == 'win32'\n"
    )
    wheels.write_lock(checkout, wheels.shipped_files(checkout))
    assert wheels.read_lock(checkout) == {"first": before["first"], "third": ("3.0", archive.sha256(third))}
    assert wheels.lock_problems(checkout, wheels.shipped_files(checkout)) == []


def test_a_model_s_clients_are_in_the_other_flavour_alone() -> None:
    """And what the worker must find in every one (docs/adr/0019) is in both."""
    plain, model = wheels.pins(ROOT, wheels.PLAIN), wheels.pins(ROOT, wheels.MODEL)
    assert plain.items() <= model.items()
    assert {"openai", "agent-framework-core"} <= model.keys() - plain.keys()
    assert {"grpcio", "protobuf", "azure-functions", "azure-functions-runtime"} <= plain.keys()
    assert not {"cloudevents", "httpx2-jsfetch", "colorama", "pytest"} & model.keys()
    assert wheels.lock_problems(ROOT, wheels.MODEL) == []


@pytest.mark.usefixtures("by_pip")
def test_no_wheel_for_the_target_is_said(store: Path, tmp_path: Path) -> None:
    wheel = make_wheel(store, "native", "1.0", {"n.py": ""}, tag="cp313-cp313-manylinux_2_34_x86_64")
    with pytest.raises(PackagingError, match=r"native==1\.0"):
        build(make_checkout(tmp_path / "checkout", {"native==1.0": wheel}), tmp_path / "dist")


@pytest.mark.parametrize("path", ["../outside.py", "/etc/passwd", "a/../../b.py", "a\\b.py"])
def test_a_wheel_that_leads_out_of_its_folder_is_refused(store: Path, tmp_path: Path, path: str) -> None:
    wheel = make_wheel(store, "wild", "1.0", {path: "x = 1\n"})
    with pytest.raises(PackagingError, match="no plain file within its folder"):
        build(make_checkout(tmp_path / "checkout", {"wild==1.0": wheel}), tmp_path / "dist")


def test_two_wheels_that_disagree_about_a_file_are_refused(store: Path, tmp_path: Path) -> None:
    pins = {
        f"{name}==1.0": make_wheel(store, name, "1.0", {"shared/x.py": text, "shared/same.py": "1\n"})
        for name, text in (("one", "1\n"), ("two", "2\n"))
    }
    with pytest.raises(PackagingError, match=r"shared/x\.py is in one and, with other content, in two"):
        build(make_checkout(tmp_path / "checkout", pins), tmp_path / "dist")


# ------------------------------------------------------------------------------------------------------------- command


def _git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


def test_the_manifest_names_the_commit_and_what_it_lacks(checkout: Path, tmp_path: Path) -> None:
    _git(checkout, "init", "-q")
    _git(checkout, "add", "-A")
    _git(checkout, "commit", "-qm", "all")
    clean = build(checkout, tmp_path / "dist").manifest
    assert len(clean["commit"]) == 40
    assert (clean["dirty"], clean["uncommitted"]) == (False, [])
    (checkout / "tests/test_x.py").write_text("other = 1\n")
    assert build(checkout, tmp_path / "dist").manifest == clean
    (checkout / "host.json").write_text("{}\n")
    (checkout / "mosaic_core/new ü.py").write_text("")
    dirty = build(checkout, tmp_path / "dist")
    assert dirty.manifest["uncommitted"] == ["host.json", "mosaic_core/new ü.py"]
    assert json.loads((dirty.folder / "build.json").read_text())["dirty"] is True


def test_a_folder_that_is_no_package_is_left_alone(checkout: Path, tmp_path: Path) -> None:
    precious = tmp_path / "dist" / "app" / "precious.txt"
    precious.parent.mkdir(parents=True)
    precious.write_text("mine")
    with pytest.raises(PackagingError, match="no package of ours"):
        build(checkout, tmp_path / "dist")
    assert precious.read_text() == "mine"


def test_a_build_that_fails_leaves_the_package_before_it(checkout: Path, tmp_path: Path) -> None:
    before = build(checkout, tmp_path / "dist").manifest
    (checkout / "mosaic_core" / "key.pem").write_text("x")
    with pytest.raises(PackagingError):
        build(checkout, tmp_path / "dist")
    assert json.loads((tmp_path / "dist" / "manifest.json").read_text()) == before
    assert sorted(path.name for path in (tmp_path / "dist").iterdir()) == [
        "app",
        "licences.txt",
        "manifest.json",
        "mosaic-0.1.0.zip",
        "sbom.cdx.json",
    ]


def test_the_command_warns_of_what_is_not_committed_and_says_where_all_is(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "ROOT", checkout)
    _git(checkout, "init", "-q")
    _git(checkout, "add", "host.json")
    _git(checkout, "commit", "-qm", "one")
    assert command.main(["--out", str(tmp_path / "dist")]) == 0
    said = capsys.readouterr()
    assert "WARNING: not committed: docs/reference/functions.json, function_app.py" in said.err
    assert "no commit is known" not in said.err
    digest = json.loads((tmp_path / "dist" / "manifest.json").read_text())["digest"]
    assert digest in said.out
    (checkout / "mosaic_core" / "key.pem").write_text("x")
    assert command.main(["--out", str(tmp_path / "dist")]) == 1
    assert "key.pem" in capsys.readouterr().err


@pytest.mark.usefixtures("by_pip")
def test_an_index_that_does_not_answer_is_exit_code_3(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "ROOT", checkout)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    assert command.main(["--out", str(tmp_path / "dist")]) == 3
    assert "did not answer" in capsys.readouterr().err


# ---------------------------------------------------------------------------------------------------- bill of materials


def test_the_bill_of_materials_is_cyclonedx_1_6(checkout: Path, tmp_path: Path) -> None:
    package = build(checkout, tmp_path / "dist")
    bill = json.loads((tmp_path / "dist" / "sbom.cdx.json").read_text())
    assert bill_faults(bill) == []
    assert bill_faults({**bill, "components": [{"name": "x"}]}) != []
    assert bill["specVersion"] == "1.6"
    assert {entry["purl"] for entry in bill["components"]} == {"pkg:pypi/first@1.0", "pkg:pypi/second@2.0"}
    assert bill["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": package.manifest["digest"]}]
    needs = {entry["ref"]: entry.get("dependsOn", []) for entry in bill["dependencies"]}
    assert needs["pkg:pypi/first@1.0"] == ["pkg:pypi/second@2.0"]
    licences = {entry["name"]: entry["licenses"] for entry in bill["components"]}
    assert licences["first"] == [{"expression": "MIT OR Apache-2.0"}]


def test_every_licence_is_told(checkout: Path, tmp_path: Path) -> None:
    build(checkout, tmp_path / "dist")
    text = (tmp_path / "dist" / "licences.txt").read_text()
    assert "first 1.0: MIT OR Apache-2.0\nsecond 2.0: MIT License\n" in text
    assert "Do as you please." in text
