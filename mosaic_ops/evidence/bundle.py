"""A bundle on disk: a folder, and the same as a zip beside it. Checked without unpacking anything and without believing
what it says of itself: its files by their sums, its claims from its raw records."""

from __future__ import annotations

import hashlib
import io
import json
import re
import stat
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from mosaic_ops.evidence import report
from mosaic_ops.evidence.claims import ODD, Record
from mosaic_ops.evidence.document import FILES, STAMP, document

EVIDENCE: Final = "evidence.json"
REPORT: Final = "report.html"
MANIFEST: Final = "manifest.sha256"

MOST_BYTES: Final = 64 * 1024 * 1024
"""Of a bundle, unpacked. One of the drills is under 1 MiB."""

MOST_FILES: Final = 100
_TIME: Final = (1980, 1, 1, 0, 0, 0)
_LINE: Final = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9._/-]{1,200})", re.ASCII)


_DAMAGED: Final = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError)
"""What reading a zip comes to that is cut off, changed, or of a kind that nobody writes."""


class NoBundleError(Exception):
    """Nothing that could be one is there. ``str()`` says why."""


class RefusedError(Exception):
    """It is not looked into. ``str()`` says why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is not so: ``proof`` is a claim's name, or ``files``, ``evidence.json``, ``report.html``."""

    proof: str
    why: str


@dataclass(frozen=True, slots=True)
class Checked:
    """``said`` is what the records come to, empty where they cannot be read."""

    findings: tuple[Finding, ...]
    said: Mapping[str, Any]


# --------------------------------------------------------------------------------------------------------------- making


def name_of(said: Mapping[str, Any]) -> str:
    """Of the folder and of the zip: when it was made, of what, and the stamp."""
    when = re.sub(r"[^0-9T]", "", str(said["startedAtUtc"]).partition(".")[0]) + "Z"
    where = re.sub(r"[^A-Za-z0-9-]+", "-", str(said["environment"])).strip("-")[:60] or "unnamed"
    return "-".join(filter(None, ("mosaic-evidence", when, where, STAMP if said["stamp"] else "")))


def files_of(records: Sequence[Record]) -> dict[str, bytes]:
    """Every file of the bundle, by its path."""
    said = document(records)
    files = {
        name: "".join(
            json.dumps(record, ensure_ascii=False, sort_keys=True, allow_nan=False) + "\n"
            for record in records
            if record["kind"] in kinds
        ).encode()
        for name, kinds in FILES.items()
    }
    said = {**said, "reportBy": report.digest()}
    files[EVIDENCE] = (json.dumps(said, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode()
    files[REPORT] = report.render(said, records).encode()
    files[MANIFEST] = manifest(files)
    return files


def manifest(files: Mapping[str, bytes]) -> bytes:
    """As ``sha256sum --check`` reads it."""
    return "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)).encode()


def write(out: Path, records: Sequence[Record]) -> tuple[Path, Path]:
    """The folder and the zip, made new below ``out``. Raises OSError where they cannot be."""
    files = files_of(records)
    name = name_of(document(records))
    folder, packed = out / name, out / f"{name}.zip"
    out.mkdir(parents=True, exist_ok=True)
    folder.mkdir()
    for path, data in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(data)
    with packed.open("xb") as opened:
        opened.write(zipped(name, files))
    return folder, packed


def zipped(name: str, files: Mapping[str, bytes]) -> bytes:
    """The same files give the same bytes."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(f"{name}/{path}", _TIME)
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[path])
    return made.getvalue()


# ------------------------------------------------------------------------------------------------------------- checking


def read(path: Path) -> tuple[str, dict[str, bytes]]:
    """The bundle's name and its files. Raises `NoBundleError`, `RefusedError`."""
    if path.is_dir():
        return path.resolve().name, _of_folder(path)
    if not path.is_file():
        raise NoBundleError(f"{path} is not there")
    if not zipfile.is_zipfile(path):
        raise NoBundleError(f"{path} is no folder and no zip")
    return _of_zip(path)


def check(path: Path) -> Checked:
    """Raises `NoBundleError`."""
    try:
        name, files = read(path)
    except (RefusedError, *_DAMAGED) as error:
        return Checked((Finding("files", str(error) or type(error).__name__),), {})
    return check_files(name, files)


def check_files(name: str, files: Mapping[str, bytes]) -> Checked:
    findings = [Finding("files", why) for why in _sums(files)]
    try:
        records = _records(files)
        said = document(records)
    except (ValueError, RecursionError) as error:
        return Checked((*findings, Finding("files", f"the raw records cannot be read: {error}"[:300])), {})
    findings += [
        Finding(claim["proof"], claim["why"]) for claim in said["claims"] if not claim["holds"]
    ]  # from the records, whatever the bundle says of itself
    findings += _told_otherwise(files, said, records)
    if (STAMP in name) != bool(said["stamp"]):
        of = "of the embedded stack" if said["stamp"] else "of a deployment"
        findings.append(Finding("files", f"it is called {name}, and its records are {of}"))
    return Checked(tuple(findings), said)


def _told_otherwise(files: Mapping[str, bytes], said: Mapping[str, Any], records: Sequence[Record]) -> list[Finding]:
    try:
        written = json.loads(files.get(EVIDENCE, b""))
    except (ValueError, RecursionError):
        return [Finding(EVIDENCE, "it is not there, or no JSON")]
    if not isinstance(written, dict):
        return [Finding(EVIDENCE, "it is no object")]
    findings = []
    by = written.pop("reportBy", None)
    if written != said:
        claims = written.get("claims")
        told = {str(c.get("proof")): c for c in claims if isinstance(c, dict)} if isinstance(claims, list) else {}
        other = [c["proof"] for c in said["claims"] if told.get(c["proof"]) != c]
        other += [name for name in said if name not in ("claims",) and written.get(name) != said[name]]
        other += sorted(set(written) - set(said)) + sorted(set(told) - {c["proof"] for c in said["claims"]})
        findings.append(Finding(EVIDENCE, f"it says otherwise than the raw records of {', '.join(other) or 'order'}"))
    # another version of the tool draws another report: its sum is all that can be held against it then
    if by == report.digest() and files.get(REPORT) != _drawn({**said, "reportBy": by}, records):
        findings.append(Finding(REPORT, "it shows something else than the raw records"))
    return findings


def _drawn(said: Mapping[str, Any], records: Sequence[Record]) -> bytes | None:
    """None: nothing can be drawn of records of such a shape."""
    try:
        return report.render(said, records).encode()
    except ODD:
        return None


def _sums(files: Mapping[str, bytes]) -> Iterable[str]:
    listed: dict[str, str] = {}
    for number, line in enumerate(files.get(MANIFEST, b"").decode("utf-8", "replace").splitlines(), start=1):
        found = _LINE.fullmatch(line)
        if found is None or found[2] in listed:
            yield f"line {number} of {MANIFEST} is no sum, or another one of a file"
            continue
        listed[found[2]] = found[1]
    there = set(files) - {MANIFEST}
    wanted = {EVIDENCE, REPORT, *FILES}
    for path in sorted(set(listed) - there):
        yield f"{path} is missing"
    for path in sorted(wanted - set(listed)):
        yield f"{path} is not in {MANIFEST}"
    for path in sorted(there - set(listed)):
        yield f"{path} is there and not in {MANIFEST}"
    for path in sorted(there & set(listed)):
        if hashlib.sha256(files[path]).hexdigest() != listed[path]:
            yield f"{path} was changed: its sum is another"


def _records(files: Mapping[str, bytes]) -> list[Record]:
    """Raises ValueError."""
    found: list[Record] = []
    for name, kinds in FILES.items():
        for number, line in enumerate(files.get(name, b"").split(b"\n"), start=1):
            if not line:
                continue
            record = json.loads(line)
            if not isinstance(record, dict) or not isinstance(record.get("id"), str) or not record["id"]:
                raise ValueError(f"line {number} of {name} is no record")
            if record.get("kind") not in kinds:
                raise ValueError(f"line {number} of {name} is a record of another file")
            found.append(record)
    by_id = {record["id"] for record in found}
    if len(by_id) != len(found):
        raise ValueError("two records have one id")
    # the order in which they were kept, which the files do not tell
    return sorted(found, key=lambda record: _place(record["id"]))


def _place(record_id: str) -> tuple[int, str]:
    number = record_id.rpartition("-")[2]
    return (int(number) if number.isdecimal() and len(number) < 9 else 0, record_id)


def _of_folder(folder: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    size = 0
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise RefusedError(f"{name} is a link, or no plain file")
        if path.is_dir():
            continue
        size += path.stat().st_size
        if len(found) >= MOST_FILES or size > MOST_BYTES:
            raise RefusedError(f"it is larger than {MOST_FILES} files of {MOST_BYTES >> 20} MiB together")
        found[name] = path.read_bytes()
    return found


def _of_zip(path: Path) -> tuple[str, dict[str, bytes]]:
    found: dict[str, bytes] = {}
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if len(entries) > MOST_FILES or sum(entry.file_size for entry in entries) > MOST_BYTES:
            raise RefusedError(f"it is larger than {MOST_FILES} files of {MOST_BYTES >> 20} MiB together")
        left, roots = MOST_BYTES, set()
        for entry in entries:
            root, inner = _safe(entry)
            roots.add(root)
            if entry.is_dir():
                continue
            if inner in found:
                raise RefusedError(f"{entry.filename} is in it twice")
            with archive.open(entry) as opened:
                data = opened.read(left + 1)  # whatever size the entry says
            left -= len(data)
            if left < 0:
                raise RefusedError(f"it unpacks to more than {MOST_BYTES >> 20} MiB")
            found[inner] = data
    if len(roots) != 1:
        raise RefusedError(f"it holds {len(roots)} folders, not the bundle's one")
    return roots.pop(), found


def _safe(entry: zipfile.ZipInfo) -> tuple[str, str]:
    """The folder and the path below it. Raises `RefusedError` where the name would lead anywhere else."""
    name = entry.orig_filename
    parts = PurePosixPath(name).parts
    kind = stat.S_IFMT(entry.external_attr >> 16)
    bad = (
        name.startswith("/")
        or "\\" in name
        or ":" in name
        or not name.isprintable()
        or any(part in ("..", ".") for part in name.split("/"))
        or len(parts) < (1 if entry.is_dir() else 2)
        or kind not in (0, stat.S_IFREG, stat.S_IFDIR)
        or entry.flag_bits & 0x1
    )
    if bad:
        raise RefusedError(f"{name!r} in it leads out of the bundle, or is a link, or encrypted")
    return parts[0], "/".join(parts[1:])
