"""What `./mosaic ops status` makes of what it sees: the gravest first, one finding for one cause, and nothing that was
never wrong."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mosaic_ops.ops import diagnosis, findings, show
from mosaic_ops.ops.findings import Finding, Seen
from mosaic_ops.ops.queues import Depth, Group


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def part(
    name: str, state: str = "down", *, required: bool = True, reason: str | None = "unreachable"
) -> dict[str, Any]:
    return {"name": name, "state": state, "required": required, "reason": reason, "parts": []}


def health(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"status": "not_ready", "dependencies": [part("tables", "up", reason=None), *parts]}


def lane(name: str = "conversation", *, success: float | None = None, pause: Any = None) -> dict[str, Any]:
    last = ago(success) if success is not None else None
    return {"lane": name, "queue": name, "pause": pause, "recent": {"lastSuccessAtUtc": last}}


def run(code: str | None, *, outcome: str | None = "failed", final: bool = True, **more: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "runId": "r" * 32,
        "commandId": "c" * 32,
        "householdId": "h" * 32,
        "lane": "conversation",
        "queue": "q",
        "attemptOutcome": outcome,
        "failureCode": code,
        "failureRationale": "what the worker said",
        "isFinal": final,
    }
    return whole | more


def group(code: str = "agent_runtime_unavailable", *, newest: float = 100, **more: Any) -> Group:
    whole: dict[str, Any] = {
        "group_id": "g",
        "lane": "conversation",
        "reason": "processing_failed",
        "failure_code": code,
        "exception_type": None,
        "count": 3,
        "oldest_at_utc": ago(newest + 60),
        "newest_at_utc": ago(newest),
        "example": "m-1",
        "rationale": "what the worker said",
    }
    return Group(**{**whole, **more})


def signal(code: str, severity: str = "Error") -> dict[str, Any]:
    return {
        "signalCode": code,
        "severity": severity,
        "runId": None,
        "messageId": "m-1",
        "commandId": None,
        "householdId": None,
        "raisedAtUtc": ago(5),
        "summary": "why",
    }


def depth(waited: float, name: str = "conversation") -> Depth:
    return Depth(lane=name, queue=name, active=2, scheduled=0, dead_lettered=0, oldest_at_utc=ago(waited))


def pause() -> dict[str, str]:
    return {"pausedBy": "olga", "pausedAtUtc": ago(300), "reason": "a bad deploy"}


def whats(seen: Seen) -> list[str]:
    return [finding.what for finding in findings.of(seen)]


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    good = Seen(
        health=health(),
        lanes=[lane(success=1)],
        runs=[run(None, outcome="succeeded"), run("approval_required", outcome="succeeded_review")],
        signals=[signal("approval_required", "Warning")],
        depths=[depth(5)],
        clock_ahead_seconds=-20,
    )
    assert findings.of(good) == []
    assert findings.of(Seen()) == []


def test_the_gravest_comes_first_whatever_else_it_brought() -> None:
    told = whats(
        Seen(
            health=health(part("tables"), part("eventHub", required=False)),
            lanes=[lane(pause=pause()), lane("ingestion", success=1)],
            runs=[run("lane_timeout", final=False)],
            signals=[signal("command_not_sent"), signal("worker_command_failed")],
            groups=[group("store_unreachable", lane="ingestion", newest=900), group("unexpected_error")],
            depths=[depth(900, "sweep"), depth(900)],
            clock_ahead_seconds=90,
        )
    )
    begins = [
        "tables is down: it does not answer (unreachable)",
        "lane conversation is paused by olga, 5 m ago",
        "conversation: 1 command fails with lane_timeout",
        "conversation: 3 dead letters unexpected_error",
        "ingestion: 3 dead letters store_unreachable",
        "sweep: a message is due for 15 m, 2 wait",
        "the app's clock is 90 s ahead of this machine's",
        "eventHub is down: it does not answer (unreachable); commands go on without it",
        "1 open signal command_not_sent",
    ]
    assert [what[: len(begin)] for what, begin in zip(told, begins, strict=True)] == begins


def test_a_broker_that_is_gone_is_one_finding_and_a_queue_that_is_gone_another() -> None:
    gone = [part(f"serviceBus.{name}") for name in ("ingestion", "conversation", "sweep")]
    assert whats(Seen(health=health(*gone))) == [
        "serviceBus is down for ingestion, conversation, sweep: it does not answer (unreachable)"
    ]
    gone[2]["reason"] = "not_found"
    assert len(whats(Seen(health=health(*gone)))) == 2


@pytest.mark.parametrize(
    ("code", "reason", "success", "mended"),
    [
        ("agent_runtime_unavailable", "processing_failed", 10, True),
        ("agent_runtime_unavailable", "processing_failed", 200, False),
        ("agent_runtime_unavailable", "processing_failed", None, False),
        # that others succeed says nothing about what lies in the command, or in its producer
        ("attempts_exhausted", "processing_failed", 10, False),
        ("unexpected_error", "processing_failed", 10, False),
        ("invalid_json", "invalid_json", 10, False),
        ("not_recorded", "not_recorded", 10, False),
        (None, "MaxDeliveryCountExceeded", 10, False),
        ("a_code_of_tomorrow", "processing_failed", 10, False),
    ],
)
def test_only_what_lay_in_the_surroundings_looks_mended(
    code: str, reason: str, success: float | None, mended: bool
) -> None:
    [found] = findings.of(Seen(lanes=[lane(success=success)], groups=[group(code, reason=reason)]))
    assert ("looks mended" in found.what) is mended
    assert found.command.endswith("--dry-run") is mended
    assert "{" not in found.command + found.do + found.says


def test_what_failed_and_is_dead_is_told_once() -> None:
    [found] = whats(Seen(runs=[run("unexpected_error")], groups=[group("unexpected_error")]))
    assert found.startswith("conversation: 3 dead letters unexpected_error")


def test_what_is_tried_again_by_itself_says_so() -> None:
    [found] = whats(
        Seen(runs=[run("agent_runtime_unavailable", final=False), run("agent_runtime_unavailable")], has_letters=False)
    )
    assert found == (
        "conversation: 2 commands fail with agent_runtime_unavailable, 1 of them to be tried again by itself"
    )


@pytest.mark.parametrize(("waiting", "dead"), [(0, 2), (2, 0), (1, 1), (1, 0), (0, 1)])
def test_of_each_failing_command_it_is_said_what_becomes_of_it(waiting: int, dead: int) -> None:
    code = "agent_runtime_unavailable"
    alive = [run(code, final=False) for _ in range(waiting)]
    [found] = findings.of(Seen(runs=[*alive, *(run(code) for _ in range(dead))], has_letters=False))
    assert ("tried again by" in found.do) is bool(waiting)
    assert ("nothing runs" in found.do) is bool(dead)
    replay = f"./mosaic ops replay --lane conversation --code {code} --reason WHY --dry-run"
    assert found.then == (replay if dead else "")
    assert ("the newest of 2" in found.which) is (waiting + dead == 2)


def test_what_is_dead_and_what_still_tries_of_one_cause_are_both_told() -> None:
    [found] = findings.of(Seen(runs=[run("lane_timeout", final=False)], groups=[group("lane_timeout")]))
    assert "3 dead letters lane_timeout" in found.what
    assert "1 more to be tried again by itself" in found.what
    assert "1 is tried again by itself: replay nothing; 3 are dead, and nothing runs them again" in found.do
    assert found.then == "./mosaic ops replay --lane conversation --group g --reason WHY --dry-run"


@pytest.mark.parametrize(("count", "which"), [(1, "m-1"), (3, "m-1, the newest of 3")])
def test_one_message_of_several_is_named_as_the_example_that_it_is(count: int, which: str) -> None:
    [dead] = findings.of(Seen(groups=[group("invalid_json", reason="invalid_json", count=count, sent_by="producer=x")]))
    assert (dead.which, dead.sender) == (which, "producer=x")
    [open_one] = findings.of(Seen(signals=[signal("command_stalled") for _ in range(count)]))
    assert open_one.which == which


def test_a_command_that_kills_its_worker_is_told_once_with_how_it_ended() -> None:
    ends = [{"part": "worker", "process": 7, "atUtc": ago(70), "how": "was ended by SIGSEGV"}]
    told = findings.of(Seen(groups=[group("unexpected_error"), group("attempts_exhausted")], ends=ends))
    assert [one.what.split(",")[0] for one in told] == [
        "conversation: 3 dead letters unexpected_error",
        "conversation: 3 dead letters attempts_exhausted",
    ]
    assert told[1].said == "what the worker said; the process 7 of worker was ended by SIGSEGV, 1 m ago"
    assert told[0].said == "what the worker said"
    at_it = run(None, outcome=None, final=False, status="Running", attempt=3)
    once = run(None, outcome=None, final=False, status="Running", attempt=1, runId="other")
    [still] = findings.of(Seen(runs=[at_it, once], ends=ends))
    assert still.what == "worker: 1 process ended and nobody had told it to"
    assert still.which == f"at work more than once: {'r' * 32}"


def test_a_broker_that_is_silent_to_the_tool_is_no_well_one() -> None:
    [told] = findings.of(Seen(health=health(part("serviceBus.sweep", "up", reason=None)), silent=["sweep"]))
    assert told.what == "serviceBus does not answer this tool for sweep; the app says it is up"
    [told] = findings.of(Seen(health=health(part("serviceBus.sweep")), silent=["sweep"]))
    assert told.what.startswith("serviceBus is down for sweep")


@pytest.mark.parametrize(
    ("reason", "first"),
    [
        (
            "forbidden",
            "give the app its role back or, where its setting holds a key, the key that is valid now; restore",
        ),
        ("not_found", "make it again under that name"),
        ("unreachable", "restore storage"),
    ],
)
def test_what_to_do_about_a_part_follows_from_what_is_wrong_with_it(reason: str, first: str) -> None:
    [told] = findings.of(Seen(health=health(part("blobs", reason=reason) | {"parts": ["send", "send"]})))
    assert told.do.startswith(first)
    assert told.which == "send"


def test_an_app_that_does_not_start_is_the_one_thing_that_is_wrong() -> None:
    wrong = [part("Lane__DeadlineSeconds", reason="setting_invalid"), part("openai", reason="package_missing")]
    told = findings.of(Seen(health={"status": "not_started", "dependencies": wrong}, depths=[depth(900)]))
    assert [one.what for one in told] == [
        "the app does not start: Lane__DeadlineSeconds (setting_invalid), openai (package_missing)"
    ]


@pytest.mark.parametrize(
    ("code", "reason"),
    [("command_not_recorded", "not_recorded"), ("idempotency_hash_mismatch", "idempotency_hash_mismatch")],
)
def test_what_a_dead_letter_tells_its_signal_does_not_tell_again(code: str, reason: str) -> None:
    dead = group(reason, reason=reason)
    assert len(findings.of(Seen(groups=[dead], signals=[signal(code)]))) == 1
    [left] = findings.of(Seen(signals=[signal(code)]))
    assert left.what.startswith(f"1 open signal {code}")


def test_a_part_and_a_code_of_a_later_version_are_told_all_the_same() -> None:
    told = findings.of(Seen(health=health(part("newPart", reason="new_reason")), runs=[run("new_code", final=False)]))
    assert [one.what for one in told] == ["newPart is down: it new_reason (new_reason)", told[1].what]
    assert all(one.says and one.do and one.command for one in told)


def test_every_finding_of_status_has_its_row_in_the_runbook() -> None:
    kinds = {code for code, step in diagnosis.steps().items() if step.kind == "part"}
    assert kinds >= {"tables", "serviceBus", "eventHub", "issuerKeys", "lane_paused", "lane_late", "clock_skewed"}


# ------------------------------------------------------------------------------------------------------- on a terminal


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[int], Callable[[], str]]:
    def wide(columns: int) -> Callable[[], str]:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((columns, 50)))
        return lambda: re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)

    return wide


ROWS = [("5" * 32, "invalid_envelope", "createdAtUtc: field required"), ("6" * 32, "invalid_json", "x")]


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 120, 200])
def test_no_cell_and_no_heading_is_ever_cut(terminal: Callable[[int], Callable[[], str]], columns: int) -> None:
    shown = terminal(columns)
    show.table(("signal", "code", "summary"), ROWS)
    out = shown()
    for row in ROWS:
        for cell in row:
            assert cell in out
    assert "signal" in out
    assert "summary" in out


def test_a_finding_is_broken_between_words_and_its_command_is_whole(
    terminal: Callable[[int], Callable[[], str]],
) -> None:
    from mosaic_ops.ops.telling import tell_findings

    shown = terminal(80)
    command = "./mosaic ops dlq show " + "f" * 90
    tell_findings([Finding(what="word " * 40, says="means " * 40, do="do " * 60, command=command, section="s")])
    lines = shown().splitlines()
    assert f"   type   {command}" in lines
    assert max(len(line) for line in lines if "fff" not in line) < 80
    assert [line for line in lines if line.startswith("1. ")]


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_a_fields_sentence_is_broken_between_words_and_what_is_copied_is_whole(
    terminal: Callable[[int], Callable[[], str]], columns: int
) -> None:
    shown = terminal(columns)
    command = "./mosaic ops replay " + "f" * 90 + " --dry-run"
    show.fields([("do", "mend it and then look again; " * 9), ("run", "a" * 90), ("type", command)])
    lines = shown().splitlines()
    assert f"type  {command}" in lines
    assert f"run   {'a' * 90}" in lines
    said = lines[: lines.index(f"run   {'a' * 90}")]
    assert max(map(len, said)) < columns
    assert " ".join(line[6:] for line in said) == " ".join(["mend it and then look again;"] * 9)


def test_a_lane_that_many_messages_wait_for_is_told_and_a_few_are_not() -> None:
    def lane_of(scheduled: int) -> Depth:
        return Depth(lane="sweep", queue="q", active=0, scheduled=scheduled, dead_lettered=0, oldest_at_utc=None)

    assert findings.of(Seen(depths=[lane_of(findings.CROWD - 1)])) == []
    [told] = findings.of(Seen(depths=[lane_of(150)]))
    assert told.what == "sweep: 150 messages wait for their turn"
    assert told.command == "./mosaic ops runs --lane sweep --limit 50"


def test_what_was_replayed_is_no_finding_any_more() -> None:
    gone = run("agent_runtime_unavailable")
    assert findings.of(Seen(runs=[gone])) == []
    asks = signal("worker_command_failed") | {"runId": gone["runId"]}
    [told] = findings.of(Seen(runs=[gone], signals=[asks]))
    assert told.what == "conversation: 1 command fails with agent_runtime_unavailable for good"


@pytest.mark.parametrize(
    ("reason", "errors", "more", "code", "by", "found"),
    [
        ("invalid_json", 0, False, "command_rejected", "olga", 0),
        ("processing_failed", 0, False, "worker_command_failed", "olga", 0),
        ("invalid_json", 1, False, "command_rejected", "olga", 1),
        ("invalid_json", 0, True, "command_rejected", "olga", 1),
        # what recovered by itself, or was of another kind, tells nothing of these
        ("processing_failed", 0, False, "worker_command_failed", "runtime", 1),
        ("processing_failed", 0, False, "command_rejected", "olga", 1),
        ("processing_failed", 0, False, None, "olga", 1),
        # what raises no signal is nobody's to resolve
        ("MaxDeliveryCountExceeded", 0, False, "worker_command_failed", "olga", 1),
        ("store_unreachable", 0, False, "worker_command_failed", "olga", 1),
    ],
)
def test_a_dead_letter_that_somebody_took_note_of_is_no_finding(
    reason: str, errors: int, more: bool, code: str | None, by: str, found: int
) -> None:
    at_it = lane() | {"openSignals": {"error": errors, "warning": 0, "isMore": more}}
    done = {"signalCode": code, "queue": "conversation", "isResolved": True, "resolvedBy": by, "resolvedAtUtc": ago(50)}
    assert len(findings.of(Seen(lanes=[at_it], groups=[group(reason=reason)], resolved=[done]))) == found
    later = group(reason=reason, newest=20)
    assert len(findings.of(Seen(lanes=[at_it], groups=[later], resolved=[done]))) == 1, "it came after that"


def test_ends_come_before_what_is_dead_only_where_they_are_many() -> None:
    end = {"part": "worker", "process": 7, "atUtc": ago(70), "how": "was ended by SIGKILL"}
    for ends, first in (([end], "conversation: 3 dead"), ([end] * 3, "worker: 3 processes")):
        told = whats(Seen(groups=[group("unexpected_error")], ends=ends))
        assert len(told) == 2
        assert told[0].startswith(first)


@pytest.mark.parametrize(
    ("signal_name", "out_of_memory", "code", "times", "do"),
    [
        ("SIGKILL", False, None, 1, "nothing, if somebody killed it on purpose"),
        ("SIGKILL", None, None, 1, "nothing, if somebody killed it on purpose"),
        ("SIGKILL", False, None, 2, "the log's lines before each end"),
        ("SIGKILL", True, None, 1, "give it more memory"),
        ("SIGSEGV", True, None, 3, "it does not stay up: the log's lines before"),
        (None, False, 3, 1, "it left by itself: its log's last lines"),
    ],
)
def test_what_to_do_about_a_process_follows_from_how_it_ended(
    signal_name: str | None, out_of_memory: bool | None, code: int | None, times: int, do: str
) -> None:
    end = {"part": "worker", "process": 7, "atUtc": ago(70), "how": "ended", "signal": signal_name, "exitCode": code}
    [told] = findings.of(Seen(ends=[end | {"outOfMemory": out_of_memory}] * times))
    assert told.do.startswith(do)
