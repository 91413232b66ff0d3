"""A bundle is checked by its sums and from its raw records, whatever it says of itself; nothing of it is unpacked."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from mosaic_ops import cli
from mosaic_ops.evidence import bundle, report, settings
from mosaic_ops.evidence.bundle import EVIDENCE, MANIFEST, REPORT, check, check_files, files_of, name_of, zipped
from mosaic_ops.evidence.document import FILES, document
from tests.support.evidence import Record, sound

ROWS = "raw/rows.jsonl"


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return files_of(sound())


@pytest.fixture(scope="module")
def name() -> str:
    return name_of(document(sound()))


def proofs(name: str, files: dict[str, bytes]) -> set[str]:
    return {finding.proof for finding in check_files(name, files).findings}


def resummed(files: dict[str, bytes]) -> dict[str, bytes]:
    """As somebody who forges a file leaves them."""
    rest = {path: data for path, data in files.items() if path != MANIFEST}
    return {**rest, MANIFEST: bundle.manifest(rest)}


def deployed() -> list[Record]:
    records = sound()
    records[-1] |= {"target": "azure", "environment": "production"}
    return records


def test_a_sound_bundle_passes_as_a_folder_and_as_a_zip(tmp_path: Path) -> None:
    folder, packed = bundle.write(tmp_path, sound())
    for path in (folder, packed):
        checked = check(path)
        assert checked.findings == ()
        assert checked.said["passed"] is True
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == {
        EVIDENCE,
        REPORT,
        MANIFEST,
        *FILES,
    }


def test_what_was_made_already_is_not_written_over(tmp_path: Path) -> None:
    bundle.write(tmp_path, sound())
    with pytest.raises(FileExistsError):
        bundle.write(tmp_path, sound())


def test_one_of_the_embedded_stack_says_so_everywhere(files: dict[str, bytes], name: str) -> None:
    assert "NOT-A-DEPLOYMENT" in name
    assert json.loads(files[EVIDENCE])["stamp"] == "NOT A DEPLOYMENT"
    assert b"NOT A DEPLOYMENT" in files[REPORT]
    of_azure = files_of(deployed())
    assert b"NOT A DEPLOYMENT" not in b"".join(of_azure.values())
    assert "NOT-A-DEPLOYMENT" not in name_of(document(deployed()))


def test_the_stamp_cannot_be_renamed_away(files: dict[str, bytes], name: str) -> None:
    assert proofs(name.replace("-NOT-A-DEPLOYMENT", ""), files) == {"files"}
    forged = {**files, EVIDENCE: files[EVIDENCE].replace(b'"NOT A DEPLOYMENT"', b"null")}
    assert EVIDENCE in proofs(name, resummed(forged))


@pytest.mark.parametrize("path", [EVIDENCE, REPORT, *FILES])
def test_a_changed_file_is_told(files: dict[str, bytes], name: str, path: str) -> None:
    assert "files" in proofs(name, {**files, path: files[path] + b"\n"})


@pytest.mark.parametrize("path", [EVIDENCE, REPORT, MANIFEST, *FILES])
def test_a_missing_file_is_told(files: dict[str, bytes], name: str, path: str) -> None:
    rest = {there: data for there, data in files.items() if there != path}
    assert "files" in proofs(name, rest)
    if path != MANIFEST:
        assert proofs(name, resummed(rest))  # nor where it is struck off the manifest


def test_an_extra_file_is_told(files: dict[str, bytes], name: str) -> None:
    assert proofs(name, {**files, "raw/more.jsonl": b""}) == {"files"}


@pytest.mark.parametrize("line", [b"nonsense\n", b"0" * 64 + b"  evidence.json\n", b"0" * 64 + b"  ../evidence.json\n"])
def test_a_manifest_with_another_line_is_told(files: dict[str, bytes], name: str, line: bytes) -> None:
    assert proofs(name, {**files, MANIFEST: files[MANIFEST] + line}) == {"files"}


def test_a_claim_is_not_believed(files: dict[str, bytes], name: str) -> None:
    """Rows without the signal, under an evidence.json and a report that say that all is proven, and right sums."""
    rows = [json.loads(line) for line in files[ROWS].splitlines()]
    kept = [
        row for row in rows if (row["table"], row["drill"], row["seen"]) != ("AgentSignals", "dead-letter", "settled")
    ]
    assert len(kept) == len(rows) - 1
    forged = {**files, ROWS: b"".join(json.dumps(row, sort_keys=True).encode() + b"\n" for row in kept)}
    assert proofs(name, resummed(forged)) == {"dead-letter.signal", EVIDENCE, REPORT}


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said | {"commit": "another"},
        lambda said: said | {"subject": "somebody"},
        lambda said: said | {"more": 1},
        lambda said: {key: value for key, value in said.items() if key != "clockSkewSeconds"},
        lambda said: said | {"claims": said["claims"][1:]},
        lambda said: said | {"claims": [said["claims"][0] | {"rows": []}, *said["claims"][1:]]},
        lambda said: said | {"claims": said["claims"][::-1]},
        lambda said: [said],
    ],
)
def test_what_evidence_says_beside_the_records_is_told(
    files: dict[str, bytes], name: str, change: Callable[[Any], Any]
) -> None:
    forged = {**files, EVIDENCE: json.dumps(change(json.loads(files[EVIDENCE]))).encode()}
    assert proofs(name, resummed(forged)) == {EVIDENCE}


def test_a_report_that_shows_something_else_is_told(files: dict[str, bytes], name: str) -> None:
    forged = {**files, REPORT: files[REPORT].replace(b"0.1.0", b"9.9.9")}
    assert proofs(name, resummed(forged)) == {REPORT}


def test_a_report_of_an_earlier_version_is_held_to_its_sum_alone(files: dict[str, bytes], name: str) -> None:
    said = json.loads(files[EVIDENCE]) | {"reportBy": "0" * 64}
    earlier = {**files, EVIDENCE: json.dumps(said).encode(), REPORT: b"<p>drawn otherwise"}
    assert proofs(name, resummed(earlier)) == set()


@pytest.mark.parametrize(
    "raw",
    [b"{\n", b"[]\n", b'{"id": "x"}\n', b'{"id": "", "kind": "row"}\n', b'{"kind": "event", "id": "a"}\n', b"\xff\n"],
)
def test_records_that_cannot_be_read_are_told(files: dict[str, bytes], name: str, raw: bytes) -> None:
    assert proofs(name, resummed({**files, ROWS: files[ROWS] + raw})) == {"files"}


@pytest.mark.parametrize("junk", [None, 5, 10**400, [], "x", {"Attempt": 10**12, "id": [], "data": [], "body": 1}])
@pytest.mark.parametrize("path", FILES)
def test_records_of_another_shape_are_told_and_end_nothing(
    files: dict[str, bytes], name: str, path: str, junk: Any
) -> None:
    records = [json.loads(line) for line in files[path].splitlines()]
    for record in records:
        record.update({key: junk for key in record if key not in ("id", "kind", "drill", "seen", "table")})
    lines = b"".join(json.dumps(record, default=str).encode() + b"\n" for record in records)
    assert proofs(name, resummed({**files, path: lines}))


def test_a_number_of_attempts_that_nobody_counts_to_is_no_proof(files: dict[str, bytes], name: str) -> None:
    many = files[ROWS].replace(b'"Attempt": 5', b'"Attempt": 5000000000')
    assert {"dead-letter.fail-closed", "dead-letter.events"} <= proofs(name, resummed({**files, ROWS: many}))


def test_two_records_of_one_id_are_told(files: dict[str, bytes], name: str) -> None:
    first = files[ROWS].splitlines()[0] + b"\n"
    assert proofs(name, resummed({**files, ROWS: files[ROWS] + first})) == {"files"}


# ----------------------------------------------------------------------------------------------------------------- zips


def checked_zip(tmp_path: Path, made: bytes) -> set[str]:
    path = tmp_path / "bundle.zip"
    path.write_bytes(made)
    return {finding.proof for finding in check(path).findings}


def with_entry(files: dict[str, bytes], name: str, entry: zipfile.ZipInfo | str, data: bytes = b"x") -> bytes:
    made = io.BytesIO(zipped(name, files))
    with zipfile.ZipFile(made, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(entry, data)
    return made.getvalue()


@pytest.mark.parametrize(
    "path",
    ["../evil", "{name}/../../evil", "/etc/evil", "{name}\\..\\evil", "C:/evil", "evil", "other/evil", "{name}/./evil"],
)
def test_a_zip_that_leads_out_of_the_bundle_is_refused(
    files: dict[str, bytes], name: str, tmp_path: Path, path: str
) -> None:
    entry = zipfile.ZipInfo("x")
    entry.filename = path.format(name=name)
    made = with_entry(files, name, entry)
    inside = set(tmp_path.rglob("*"))
    assert checked_zip(tmp_path, made) == {"files"}
    assert set(tmp_path.rglob("*")) - inside == {tmp_path / "bundle.zip"}


def test_a_zip_with_a_link_is_refused(files: dict[str, bytes], name: str, tmp_path: Path) -> None:
    link = zipfile.ZipInfo(f"{name}/raw/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert checked_zip(tmp_path, with_entry(files, name, link, b"/etc/passwd")) == {"files"}


def test_a_zip_that_holds_a_file_twice_is_refused(files: dict[str, bytes], name: str, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        made = with_entry(files, name, f"{name}/{EVIDENCE}", b"{}")
    assert checked_zip(tmp_path, made) == {"files"}


def test_a_zip_that_unpacks_to_more_than_a_bundle_is_refused(
    files: dict[str, bytes], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "MOST_BYTES", 2_000_000)
    huge = with_entry(files, name, f"{name}/raw/huge", bytes(2_000_001))
    assert len(huge) < 100_000
    assert checked_zip(tmp_path, huge) == {"files"}
    # one that says that it is small
    lying = huge.replace((2_000_001).to_bytes(4, "little"), (1).to_bytes(4, "little"))
    assert lying != huge
    assert checked_zip(tmp_path, lying) == {"files"}


def test_a_zip_of_too_many_files_is_refused(files: dict[str, bytes], name: str, tmp_path: Path) -> None:
    many = {**files, **{f"raw/{number}": b"" for number in range(bundle.MOST_FILES)}}
    assert checked_zip(tmp_path, zipped(name, many)) == {"files"}


def test_a_damaged_zip_is_told(files: dict[str, bytes], name: str, tmp_path: Path) -> None:
    made = bytearray(zipped(name, files))
    made[200:260] = bytes(60)
    assert checked_zip(tmp_path, bytes(made)) == {"files"}


def test_a_folder_with_a_link_is_refused(tmp_path: Path) -> None:
    folder, _ = bundle.write(tmp_path, sound())
    (folder / "raw" / "link").symlink_to("/etc/passwd")
    assert [finding.proof for finding in check(folder).findings] == ["files"]


def test_what_is_no_bundle_at_all(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no zip")
    for path in (tmp_path / "absent", tmp_path / "text"):
        with pytest.raises(bundle.NoBundleError):
            check(path)


# --------------------------------------------------------------------------------------------------------- the command


def test_the_command_checks_without_a_stack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, packed = bundle.write(tmp_path, sound())
    assert cli.main(["ops", "evidence", "verify", str(packed)]) == 0
    assert "each claim was made again" in capsys.readouterr().out
    assert cli.main(["ops", "evidence", "verify", str(packed), "--require-deployment"]) == 1
    assert "stamp (" in capsys.readouterr().err
    (folder / ROWS).write_bytes(b"")
    assert cli.main(["ops", "evidence", "verify", str(folder), "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["good"] is False
    assert "dead-letter.signal (" in err
    for path in (tmp_path / "absent", Path(__file__)):
        assert cli.main(["ops", "evidence", "verify", str(path)]) == 2


def test_a_deployment_is_asked_with_all_that_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    url = ["--url", "https://app.example.org"]
    assert cli.main(["ops", "evidence", "--out", "x", *url]) == 2
    assert "--workspace-id" in capsys.readouterr().err
    assert cli.main(["ops", "evidence", *url]) == 2
    assert "--out" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------- settings and report


def test_settings_are_told_by_name_and_no_secret_is(files: dict[str, bytes]) -> None:
    given = {
        "Retry__Seconds": "1,5,30,120",
        "ServiceBusConnection": "Endpoint=sb://x;SharedAccessKey=abc",
        "Agent__ApiKey": "key",
        "APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=abc",
        "SomethingNew__Password": "x",
        "TelemetryHub": "a;SharedAccessKey=abc",
    }
    assert settings.told(given) == {"Retry__Seconds": "1,5,30,120", "TelemetryHub": "(not shown)"}


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_report_holds_itself_and_nothing_else(files: dict[str, bytes]) -> None:
    parser = Tags()
    parser.feed(files[REPORT].decode())
    names = [tag for tag, _ in parser.tags]
    assert not {"script", "link", "img", "iframe", "object", "form", "base"} & set(names)
    assert names.count("svg") == 4
    ids = [attributes["id"] for _, attributes in parser.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for _, attributes in parser.tags:
        assert not {name for name in attributes if name.startswith("on") or name in ("style", "src")}
        href = attributes.get("href")
        assert href is None or (href.startswith("#") and href[1:] in ids), href
    policy = next(a["content"] for _, a in parser.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")


def test_what_others_wrote_is_text_in_the_report() -> None:
    evil = '<script>alert("x")</script><img src=x onerror=y>'
    records = sound()
    for record in records:
        inners: list[Any] = [record.get("row"), record.get("event"), record.get("span"), record]
        for inner in filter(None, inners):
            for key, value in list(inner.items()):
                if isinstance(value, str) and key not in ("id", "kind", "drill", "target", "seen", "table"):
                    inner[key] = evil
    shown = report.render(document(records), records)
    assert "&lt;script&gt;" in shown
    assert "<script" not in shown
    assert "<img" not in shown


def test_records_without_times_are_shown_all_the_same() -> None:
    records = [record for record in sound() if record["kind"] in ("made", "drill")]
    assert "nothing of it has a time" in report.render(document(records), records)
