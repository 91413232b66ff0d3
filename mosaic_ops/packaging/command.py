"""``./mosaic package [--out DIR] [--with-model]``."""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mosaic_ops.packaging import archive, bill, staging, wheels
from mosaic_ops.packaging.errors import IndexUnreachableError, PackagingError

ROOT: Final = Path(__file__).resolve().parent.parent.parent
FUNCTIONS: Final = "docs/reference/functions.json"
EXIT_UNREACHABLE: Final = 3


@dataclass(frozen=True, slots=True)
class Package:
    """Where everything is, and what the manifest says."""

    folder: Path
    zip: Path
    manifest: dict[str, Any]
    skipped: list[str]
    """Modules that do not compile, as paths in the package."""


def build(
    root: Path, out: Path, files: Sequence[str] = wheels.PLAIN, say: Callable[[str], None] = lambda line: None
) -> Package:
    """Builds the package of the checkout ``root`` into ``out``: ``app/``, ``mosaic-<version>.zip``, ``manifest.json``,
    ``sbom.cdx.json``, ``licences.txt``. What was there before is replaced once the new one is whole. Raises
    PackagingError."""
    _refuse_foreign(out)
    with (root / "pyproject.toml").open("rb") as file:
        source = staging.Source.of(root, tomllib.load(file)["project"]["version"])
    own = list(staging.own_files(root))
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".building-") as made:
        draft, scratch = Path(made) / "out", Path(made) / "scratch"
        (draft / "app").mkdir(parents=True)
        scratch.mkdir()
        say("fetching the wheels …")
        fetched = wheels.fetch(root, files, scratch)
        say(f"unpacking and compiling {len(fetched)} packages and the app …")
        requirements = "".join(f"{wheel.name}=={wheel.version}\n" for wheel in fetched)
        skipped = staging.stage(root, draft / "app", own, fetched, source, requirements)
        say("writing the zip, the manifest, the bill of materials …")
        manifest = _write_results(root, draft, fetched, source, inputs(root, files))
        (draft / "app" / staging.IGNORE_FILE).write_text(staging.IGNORE_TEXT, "utf-8")
        archive.settle(draft / "app")
        _put_in_place(draft, out)
    return Package(out / "app", out / manifest["zip"]["name"], manifest, skipped)


def _write_results(
    root: Path, draft: Path, fetched: Sequence[wheels.Wheel], source: staging.Source, made_of: str
) -> dict[str, Any]:
    app = draft / "app"
    files = staging.files(app)
    target = draft / f"mosaic-{source.version}.zip"
    archive.write_zip(app, files, target)
    digest = archive.digest(app, files)
    (draft / "sbom.cdx.json").write_text(bill.bill_of_materials(fetched, source, digest), "utf-8")
    (draft / "licences.txt").write_text(bill.licences(fetched), "utf-8")
    manifest = {
        "name": bill.APP,
        "version": source.version,
        "commit": source.commit,
        "dirty": bool(source.uncommitted),
        "uncommitted": list(source.uncommitted),
        "digest": digest,
        "inputs": made_of,
        "python": platform.python_version(),
        "platform": wheels.platforms()[0],
        "functions": json.loads((root / FUNCTIONS).read_bytes()),
        "zip": {"name": target.name, "size": target.stat().st_size, "sha256": archive.sha256(target)},
        "files": archive.listing(app, files),
    }
    (draft / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
    return manifest


def inputs(root: Path, files: Sequence[str]) -> str:
    """SHA-256 over all that a build depends on: what ships, the locked wheels, how it is built, by which Python."""
    tools = sorted((root / "mosaic_ops" / "packaging").glob("*.py"))
    paths = [*(root / path for path in staging.own_files(root)), root / wheels.LOCK, root / FUNCTIONS, *tools]
    paths += [root / name for name in (*files, "pyproject.toml")]
    total = hashlib.sha256(f"{platform.python_version()}\0{','.join(files)}\n".encode())
    for path in paths:
        total.update(f"{path.relative_to(root).as_posix()}\0{archive.sha256(path)}\n".encode())
    return total.hexdigest()


def is_current(root: Path, out: Path, files: Sequence[str]) -> bool:
    """Whether the package in ``out`` is whole, and what a build would make now."""
    try:
        manifest = json.loads((out / "manifest.json").read_bytes())
        with (root / "pyproject.toml").open("rb") as file:
            source = staging.Source.of(root, tomllib.load(file)["project"]["version"])
        return bool(
            manifest["inputs"] == inputs(root, files)
            and (manifest["commit"], manifest["uncommitted"]) == (source.commit, list(source.uncommitted))
            and archive.listing(out / "app", staging.files(out / "app")) == manifest["files"]
            and archive.sha256(out / manifest["zip"]["name"]) == manifest["zip"]["sha256"]
        )
    except (OSError, ValueError, KeyError, TypeError, PackagingError):
        return False


def _refuse_foreign(out: Path) -> None:
    app = out / "app"
    if app.is_symlink() or (app.exists() and any(app.iterdir()) and not (app / staging.BUILD_FILE).exists()):
        raise PackagingError(f"{app} is there and no package of ours: name another folder with --out")


def _put_in_place(draft: Path, out: Path) -> None:
    """The manifest goes first and comes last: with it there, everything else is."""
    (out / "manifest.json").unlink(missing_ok=True)
    for path in out.glob("mosaic-*.zip"):
        path.unlink()
    shutil.rmtree(out / "app", ignore_errors=True)
    for path in sorted(draft.iterdir(), key=lambda path: path.name == "manifest.json"):
        path.replace(out / path.name)


def _say(line: str) -> None:
    print(f"mosaic package: {line}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> int:
    """The command. Returns the exit code: 0 built, 1 not, 3 the package index did not answer."""
    parser = argparse.ArgumentParser(
        prog="mosaic package", description="Build what is deployed: a folder, a zip, a manifest, a bill of materials."
    )
    parser.add_argument("--out", type=Path, default=Path("dist"), metavar="DIR", help="default: dist")
    parser.add_argument(
        "--with-model", action="store_true", help="with the clients that Agent__Provider=openai and azure_openai need"
    )
    parser.add_argument("--if-needed", action="store_true", help="only where DIR has not this very package")
    options = parser.parse_args(arguments)
    begun = time.monotonic()
    files, out = wheels.MODEL if options.with_model else wheels.PLAIN, options.out.resolve()
    try:
        if options.if_needed and is_current(ROOT, out, files):
            print(f"{out} has this very package")
            return 0
        package = build(ROOT, out, files, _say)
    except IndexUnreachableError as error:
        print(f"mosaic package: {error}", file=sys.stderr)
        return EXIT_UNREACHABLE
    except PackagingError as error:
        print(f"mosaic package: {error}", file=sys.stderr)
        return 1
    manifest = package.manifest
    if manifest["commit"] == "unknown":
        print("mosaic package: WARNING: no commit is known: git does not answer for this folder.", file=sys.stderr)
    if manifest["dirty"]:
        names = ", ".join(manifest["uncommitted"][:5])
        print(f"mosaic package: WARNING: not committed: {names}. The manifest says so.", file=sys.stderr)
    size = sum(file["size"] for file in manifest["files"])
    print(f"folder  {package.folder}  ({len(manifest['files'])} files, {size / 1e6:.1f} MB)")
    print(f"zip     {package.zip}  ({manifest['zip']['size'] / 1e6:.1f} MB)")
    print(f"commit  {manifest['commit']}")
    print(f"digest  {manifest['digest']}  ({time.monotonic() - begun:.0f} s)")
    return 0
