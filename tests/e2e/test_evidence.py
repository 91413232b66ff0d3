"""`./mosaic ops evidence`: a sound build proves all of the release checklist, and a build with a defect is told so by
the proofs that the defect breaks, and by no other."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mosaic_local.stack import Stack, StackOptions
from mosaic_ops import cli
from mosaic_ops.evidence.claims import PROOFS
from tests.e2e.conftest import FAST
from tests.planted.defect import Defect

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
ROOT = Path(__file__).resolve().parents[2]
FINISH = "mosaic_core/services/delivery/finish.py"
LANE = "mosaic_core/services/delivery/lane.py"
EVENTS = "mosaic_core/telemetry.py"
RESERVATION = "mosaic_core/domain/reservation.py"
HERE = ("tests/e2e/test_evidence.py::test_a_build_with_a_defect_is_told_so",)


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    said: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def ops(*arguments: str) -> Answer:
    out, said = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(said):
        code = cli.main(["ops", *arguments])
    return Answer(code, out.getvalue(), said.getvalue())


def evidence(stack: Stack, out: Path, *more: str) -> Answer:
    return ops("evidence", "--out", str(out), "--state", str(stack.state_dir), "--timeout", "15", *more)


@pytest.mark.slow
def test_a_sound_build_proves_everything_and_its_bundle_is_checked_offline(stack: Stack, tmp_path: Path) -> None:
    made = evidence(stack, tmp_path, "--json")
    assert made.code == 0, made.said
    said = made.json
    assert said["passed"] is True
    assert len(said["claims"]) == len(PROOFS)
    assert (said["stamp"], said["subject"], said["leftBehind"]) == ("NOT A DEPLOYMENT", "operator", [])
    assert said["settings"]["Retry__Seconds"] == FAST["Retry__Seconds"]
    assert abs(said["clockSkewSeconds"]) < 5
    for name in ("version", "commit", "packageDigest"):
        assert said[name]
    folder, packed = Path(said["folder"]), Path(said["zip"])
    assert packed.name.endswith("-NOT-A-DEPLOYMENT.zip")
    secrets = [stack.settings[name].partition("Key=")[2] for name in ("ServiceBusConnection", "TablesConnection")]
    whole = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    for secret in (*secrets, "SharedAccessKey", "AccountKey", "eyJ"):
        assert secret
        assert secret.encode() not in whole
    for path in (folder, packed):
        assert ops("evidence", "verify", str(path)).code == 0
    refused = ops("evidence", "verify", str(packed), "--require-deployment")
    assert (refused.code, "stamped NOT A DEPLOYMENT" in refused.said) == (1, True)
    rows = folder / "raw" / "rows.jsonl"
    rows.write_text(rows.read_text().replace('"RequiresHumanReview": true', '"RequiresHumanReview": false'))
    told = ops("evidence", "verify", str(folder), "--json")
    assert told.code == 1
    assert {"files", "retry.signal-raised", "dead-letter.signal"} <= {it["proof"] for it in told.json["findings"]}
    assert "dead-letter.signal" in told.said
    assert ops("evidence", "verify", str(tmp_path / "absent")).code == 2
    assert ops("evidence", "--state", str(stack.state_dir)).code == 2


def defect(name: str, file: str, old: str, new: str, what: str) -> Defect:
    return Defect(name=name, file=file, old=old, new=new, what=what, caught_by=HERE)


BROKEN: list[tuple[Defect, set[Any]]] = [
    (
        defect(
            "evidence-dead-letter-without-signal",
            FINISH,
            "    if failure is not None and not await write_failure(store, failure):",
            "    if failure is not None and failure.is_resolved and not await write_failure(store, failure):",
            "a failed attempt raises no signal",
        ),
        {"retry.signal-raised", "dead-letter.signal"},
    ),
    (
        defect(
            "evidence-signal-asks-nobody",
            "mosaic_core/domain/signals.py",
            "        summary=f\"{run.failure_code or 'failed'}: {run.failure_rationale or ''}\"[:200],\n"
            "        requires_human_review=True,",
            "        summary=f\"{run.failure_code or 'failed'}: {run.failure_rationale or ''}\"[:200],\n"
            "        requires_human_review=False,",
            "a failure's signal asks nobody",
        ),
        {"retry.signal-raised", "dead-letter.signal"},
    ),
    (
        defect(
            "evidence-duplicate-reprocessed",
            RESERVATION,
            "    if key.status == KeyStatus.COMPLETED:\n        return AlreadyCompleted()",
            "    if key.status == KeyStatus.COMPLETED:\n"
            "        return Takeable(replace(key, status=KeyStatus.RESERVED,"
            " owner_token=owner_token, finalized_at=None))",
            "a duplicate of a finished command takes its key again",
        ),
        {"replay.duplicate-not-reprocessed", "replay.duplicate-completed", "replay.events"},
    ),
    (
        defect(
            "evidence-retry-loses-the-key",
            RESERVATION,
            "    return replace(_acquitted(key), lease_seconds=0, next_attempt_at=next_attempt_at)",
            "    return replace(_acquitted(key), lease_seconds=0, next_attempt_at=next_attempt_at, request_hash='0')",
            "between attempts the key stands for another request",
        ),
        {"retry.key-kept", "dead-letter.key-kept", "retry.recovered", "dead-letter.message", ...},
    ),
    (
        defect(
            "evidence-retry-finalises-the-key",
            RESERVATION,
            "    return replace(_acquitted(key), lease_seconds=0, next_attempt_at=next_attempt_at)",
            "    return replace(\n"
            "        _acquitted(key), lease_seconds=0, next_attempt_at=next_attempt_at, finalized_at=next_attempt_at\n"
            "    )",
            "a key that waits for its next attempt is finalised",
        ),
        {"retry.key-kept", "dead-letter.key-kept"},
    ),
    (
        defect(
            "evidence-event-without-correlation",
            EVENTS,
            '            "correlationId": correlation_id or None,',
            '            "correlationId": None if kind == "attempt_failed" else correlation_id or None,',
            "one kind of event names no correlation id",
        ),
        {"retry.events-correlated", "dead-letter.events-correlated"},
    ),
    (
        defect(
            "evidence-event-missing",
            LANE,
            '        event(known, "started", "running", at.attempt)',
            '        if known.envelope.command_type != "ingestion_completed":\n'
            '            event(known, "started", "running", at.attempt)',
            "the beginning of a lane's attempts is not told",
        ),
        {"retry.events", "dead-letter.events", "replay.events", "replay.duplicate-not-reprocessed"},
    ),
    (
        defect(
            "evidence-completed-without-stages",
            FINISH,
            "    await of.worker.stores.stages.insert_all(rows or [_dispatch_stage(at)])",
            "    if at.result.outcome == AttemptOutcome.FAILED:\n"
            "        await of.worker.stores.stages.insert_all(rows or [_dispatch_stage(at)])",
            "a run is completed without its stages",
        ),
        {"retry.stages", "replay.stages", "replay.duplicate-not-reprocessed", "trace.stages"},
    ),
    (
        defect(
            "evidence-key-never-finalised",
            RESERVATION,
            "        finalized_at=now,\n        resolution_code=code,",
            "        finalized_at=None,\n        resolution_code=code,",
            "a key has no time of its end",
        ),
        {"retry.key-completed", "dead-letter.key-rejected", "replay.key-completed", "trace.key-completed"},
    ),
    (
        defect(
            "evidence-description-without-run",
            "mosaic_core/domain/dead_letters.py",
            '    return f"{code}; run={run_id}; correlation=',
            '    return f"{code}; correlation=',
            "a dead letter does not name its run",
        ),
        {"dead-letter.message"},
    ),
    (
        defect(
            "evidence-replay-of-nothing",
            "mosaic_core/services/enqueue.py",
            "            replay_of_command_id=self.replay_of,",
            "            replay_of_command_id=None,",
            "a replay does not name what it replays",
        ),
        {"replay.new-command", "replay.events"},
    ),
]


@contextmanager
def built_with(defect: Defect, folder: Path) -> Iterator[Stack]:
    """A stack whose app is a copy with the defect."""
    app = folder / "app"
    app.mkdir(parents=True)
    for name in ("function_app.py", "host.json", "requirements.txt"):
        shutil.copy2(ROOT / name, app)
    shutil.copytree(ROOT / "mosaic_core", app / "mosaic_core", ignore=shutil.ignore_patterns("__pycache__"))
    broken = app / defect.file
    broken.write_text(defect.planted(broken.read_text("utf-8")), "utf-8")
    with Stack(StackOptions(app=app, app_settings={**FAST, "MOSAIC_COMMIT": "c0ffee0"})) as stack:
        yield stack


def test_each_defect_still_has_its_place() -> None:
    known = {proof.name for proof in PROOFS}
    for planted, proofs in BROKEN:
        compile(planted.planted((ROOT / planted.file).read_text("utf-8")), planted.file, "exec")
        assert proofs - {...} <= known


@pytest.mark.slow
@pytest.mark.parametrize(("planted", "proofs"), BROKEN, ids=lambda it: it.name if isinstance(it, Defect) else "")
def test_a_build_with_a_defect_is_told_so(planted: Defect, proofs: set[Any], tmp_path: Path) -> None:
    """``proofs`` are all that fail; with ``...`` among them others may, for what comes of the defect."""
    with built_with(planted, tmp_path) as stack:
        made = evidence(stack, tmp_path / "out", "--json")
    assert made.code == 1, planted.what
    not_proven, named = set(made.json["notProven"]), proofs - {...}
    assert named <= not_proven, made.said
    assert ... in proofs or named == not_proven, made.said
    checked = ops("evidence", "verify", made.json["zip"])
    assert checked.code == 1
    for proof in named:
        assert proof in made.said
        assert proof in checked.said
