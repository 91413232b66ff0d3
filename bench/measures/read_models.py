"""How long the read models take, by how many runs the tables hold: the services themselves on Azurite's tables.

Azurite finds rows by partition here, as Table Storage does. Its own times stand beside each figure, taken in the same
moments.
"""

from __future__ import annotations

import base64
import os
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any, BinaryIO, Final

from bench import requests
from bench.results import Row, at_most
from mosaic_core.adapters import record_rows
from mosaic_core.adapters.record_rows import Row as TableRow
from mosaic_core.adapters.tables import TableStores, ensure_tables, open_table_stores, writes
from mosaic_core.adapters.tables.keys import encode, join
from mosaic_core.adapters.tables.stores import (
    COMMANDS,
    INDEX,
    STAGES,
    TableApprovals,
    TableKeys,
    TableRuns,
    TableSignals,
    lists_of_command,
)
from mosaic_core.config import Connection
from mosaic_core.domain import ids
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_core.domain.lifecycle import ApprovalStatus, AttemptOutcome, KeyStatus, RunStatus, Severity, StageStatus
from mosaic_core.domain.records import Approval, Command, Key, Run, Signal, Stage
from mosaic_core.ports import ETag
from mosaic_core.services.approval_pages import take
from mosaic_core.services.operators.operator_service import OperatorService
from mosaic_core.services.operators.review_queue import SignalFilter
from mosaic_core.services.operators.runs import RunFilter
from mosaic_core.services.read_models import ReadModels
from mosaic_local import azurite
from mosaic_local.state import Secrets

FEW: Final = 1_000
RUNS: Final = 5_000
"""Unless ``MOSAIC_BENCH_RUNS`` names another number."""

CALLS: Final = 30
PAGE: Final = 20
DAYS: Final = 30
KEPT_DAYS: Final = 7
"""Keys live that long; commands and stages of older runs are left out too, so that many runs fit in memory."""

HOUSEHOLDS: Final = tuple(f"{number:032x}" for number in range(0xBE0C_0000, 0xBE0C_0032))
PER_CONVERSATION: Final = 20
REVIEWS: Final = 50
"""One run of so many asks for a review; one of ten times as many failed."""

APPROVALS: Final = 20
"""That wait for one household, however many runs there are."""

LANES: Final = (Lane.CONVERSATION, Lane.CONVERSATION, Lane.INGESTION, *Lane)
"""Whose the runs are, in turn: conversations are most of them."""

_READY_SECONDS: Final = 300.0
_HASH: Final = "0" * 64
_QUESTIONS: Final = {
    "runs": 23,
    "runs_needs_review": 23,
    "runs_of_household": 21,
    "run": 5,
    "trace": 13,
    "signals_open": 23,
    "lanes": 39,
    "approvals_pending": 21,
    "stream": 62,
}
"""What is asked, and by how many requests at most: twenty rows are twenty point reads, and a range for each list."""

_AZURITE: Final = ("azurite_point_read", "azurite_range_20")
ROWS: Final = (
    *(f"read_models_{name}_{kind}" for name in _QUESTIONS for kind in ("requests", "ms", "growth")),
    *(f"read_models_{name}_{kind}" for name in _AZURITE for kind in ("ms", "growth")),
)

type Question = Callable[[], Awaitable[object]]


async def measure(quick: bool) -> list[Row]:
    """Requests of one call, which are held to goals; 95th percentiles, and those divided by the ones at `FEW`."""
    many, calls = many_runs(), 10 if quick else CALLS
    now = datetime.now(UTC)
    async with filled(FEW, now) as tables:
        few = await _times(_questions(tables), calls)
    async with filled(many, now) as tables:
        questions = _questions(tables)
        found = await _times(questions, calls)  # first: who asks first lists what older versions left unlisted
        asked = {name: await _requests(questions[name]) for name in _QUESTIONS}
    measured: list[Row] = []
    for name, times in found.items():
        if name in asked:
            count = float(asked[name])
            goal = at_most(_QUESTIONS[name])
            measured.append(Row(f"read_models_{name}_requests", count, "requests", (count, count), goal))
        at_many, at_few = _p95(times), _p95(few[name])
        spread = (min(times), max(times))
        measured.append(Row(f"read_models_{name}_ms", at_many, "ms", spread))
        growth = at_many / at_few
        measured.append(Row(f"read_models_{name}_growth", growth, f"× of {FEW} runs", (growth, growth)))
    return measured


def many_runs() -> int:
    """Raises ValueError."""
    many = int(os.environ.get("MOSAIC_BENCH_RUNS", RUNS))
    if many <= FEW:
        raise ValueError(f"MOSAIC_BENCH_RUNS has to be more than {FEW}")
    return many


def _p95(times: list[float]) -> float:
    return sorted(times)[ceil(0.95 * len(times)) - 1]


async def _times(questions: dict[str, Question], calls: int) -> dict[str, list[float]]:
    """Milliseconds of each call. In turns: what else the machine does in a moment meets all of them."""
    for ask in questions.values():
        await ask()
    found: dict[str, list[float]] = {name: [] for name in questions}
    for _ in range(calls):
        for name, ask in questions.items():
            began = time.perf_counter()
            await ask()
            found[name].append((time.perf_counter() - began) * 1000)
    return found


async def _requests(ask: Question) -> int:
    with requests.recorded() as sent:
        await ask()
    return len(sent)


def _questions(filled: Filled) -> dict[str, Question]:
    stores, tables = filled.tables.stores, filled.tables.tables
    queues = {lane: RULES[lane].default_queue for lane in Lane}
    operators = OperatorService(stores, _Clock(), queues)
    households = ReadModels(stores, _Clock())
    one = filled.newest[0]
    household, conversation = one.household_id, one.conversation_id or ""
    asks = filled.asking

    async def range_20() -> None:
        partition, row_key = lists_of_command(household, one.queue, one.command_id, one.created_at)[0]
        columns = ("RowKey", "Queue", "CommandId")
        found = tables.query(INDEX, partition, [("RowKey", "ge", row_key)], select=columns, page=PAGE)
        async for _ in take(found, PAGE):
            pass

    return {
        "runs": lambda: operators.runs.page(RunFilter(), PAGE),
        "runs_needs_review": lambda: operators.runs.page(RunFilter(status=RunStatus.NEEDS_REVIEW), PAGE),
        "runs_of_household": lambda: operators.runs.page(RunFilter(household_id=household), PAGE),
        "run": lambda: operators.runs.one(one.run_id),
        "trace": lambda: operators.traces.of(one.command_id),
        "signals_open": lambda: operators.signals.page(SignalFilter(), PAGE),
        "lanes": operators.lanes.all,
        "approvals_pending": lambda: operators.approvals(asks, ApprovalStatus.PENDING, limit=PAGE),
        "stream": lambda: households.stream(household, conversation, None),
        "azurite_point_read": lambda: stores.runs.read(one.run_id),
        "azurite_range_20": range_20,
    }


class _Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@asynccontextmanager
async def filled(runs: int, now: datetime, *, kept_days: int = KEPT_DAYS) -> AsyncIterator[Filled]:
    """An Azurite of its own with so many runs, in memory: one that writes its rows to a file stops for that every few
    seconds."""
    keys = Secrets("mosaicbench", base64.b64encode(secrets.token_bytes(32)).decode(), "", "")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        with path.open("wb") as file:
            newest = await _Rows(file, now, kept_days).write(runs)
        log = Path(folder) / "azurite.log"
        part = azurite.start(None, 0, 0, keys, log, lambda _part, _code: None, rows=path)
        try:
            table, blob = (int(part.answer(name, _READY_SECONDS)[name]) for name in ("table", "blob"))
            found = [azurite.connection_string(keys, blob, table, service) for service in ("Table", "Blob")]
            tables, blobs = (Connection(connection_string=it) for it in found)
            await ensure_tables(tables, blobs)
            opened = open_table_stores(tables, blobs)
            try:
                yield Filled(opened, newest)
            finally:
                await opened.close()
        finally:
            part.stop(azurite.STOP_SECONDS)


@dataclass
class Filled:
    tables: TableStores
    newest: list[Run]
    asking: str = HOUSEHOLDS[0]


class _Service:
    """What the stores send to the tables, as a line each of the file that Azurite begins with."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    async def insert(self, table: str, partition: str, row_key: str, row: TableRow) -> ETag:
        body = writes.encode(partition, row_key, row)
        self._file.write(b'{"table":"%s","row":%s}\n' % (table.encode(), body))
        return "*"

    async def insert_all(self, table: str, partition: str, rows: Mapping[str, TableRow]) -> bool:
        for row_key, row in rows.items():
            await self.insert(table, partition, row_key, row)
        return True


class _Rows:
    """Runs as workers leave them behind, spread over the last `DAYS`; the newest are the same ones however many there
    are."""

    def __init__(self, file: BinaryIO, now: datetime, kept_days: int) -> None:
        self._now, self._kept_days = now, kept_days
        self._service = _Service(file)
        service: Any = self._service
        self._runs, self._keys, self._signals = TableRuns(service), TableKeys(service), TableSignals(service)
        self._approvals = TableApprovals(service, lambda: now)

    async def write(self, count: int) -> list[Run]:
        """The newest conversation's."""
        made = [self._run(number, count) for number in range(count)]
        for number, run in enumerate(made):
            await self._write(number, run)
        return made[:PER_CONVERSATION]

    def _run(self, number: int, of: int) -> Run:
        lane = LANES[number % len(LANES)]
        queue, begun = RULES[lane].default_queue, self._now - timedelta(days=DAYS) * (number / of)
        command = ids.derive("bench", str(number))
        is_review, is_failed = number % REVIEWS == 1, number % (10 * REVIEWS) == 2
        return Run(
            run_id=ids.run_id(queue, command),
            household_id=HOUSEHOLDS[number // PER_CONVERSATION % len(HOUSEHOLDS)],
            command_id=command,
            command_type=next(iter(RULES[lane].command_types)),
            correlation_id=f"bench:{command}",
            queue=queue,
            policy_version="bench",
            request_hash=_HASH,
            status=RunStatus.NEEDS_REVIEW if is_review or is_failed else RunStatus.COMPLETED,
            is_final=True,
            attempt=1,
            created_at=begun,
            last_modified_at=begun,
            completed_at=begun,
            conversation_id=ids.derive("bench", "conversation", str(number // PER_CONVERSATION)),
            attempt_outcome=AttemptOutcome.FAILED if is_failed else AttemptOutcome.SUCCEEDED,
            failure_code="bench" if is_failed else None,
            trace_parent=f"00-{command}-b7ad6b7169203331-01",
        )

    async def _write(self, number: int, run: Run) -> None:
        await self._runs.insert(run)
        row: TableRow = {"Queue": run.queue, "CommandId": run.command_id, "HouseholdId": run.household_id}
        for partition, row_key in lists_of_command(run.household_id, run.queue, run.command_id, run.created_at):
            await self._service.insert(INDEX, partition, row_key, row)
        of_conversation = join("conversation", run.household_id, run.conversation_id or "")
        place = join(record_rows.newest_first(run.created_at), run.queue, run.command_id)
        listed: TableRow = {"Queue": run.queue, "CommandId": run.command_id}
        await self._service.insert(INDEX, of_conversation, place, listed)
        if run.status == RunStatus.NEEDS_REVIEW:
            await self._signals.insert(_signal(run))
        if number < APPROVALS:
            await self._approvals.insert(_approval(run, self._now))
        if self._now - run.created_at < timedelta(days=self._kept_days):
            command = record_rows.COMMAND.encode(_command(run))
            await self._service.insert(COMMANDS, encode(run.command_id), "command", command)
            await self._keys.insert(_key(run))
            stage = _stage(run)
            await self._service.insert(STAGES, encode(run.run_id), "000001-001", record_rows.encode_stage(stage))


def _signal(run: Run) -> Signal:
    is_failed = run.attempt_outcome == AttemptOutcome.FAILED
    return Signal(
        signal_id=(ids.failure_signal_id if is_failed else ids.review_signal_id)(run.run_id),
        queue=run.queue,
        signal_code="bench",
        severity=Severity.ERROR if is_failed else Severity.WARNING,
        summary="asks for a person",
        requires_human_review=True,
        raised_at=run.created_at,
        run_id=run.run_id,
        command_id=run.command_id,
        correlation_id=run.correlation_id,
        household_id=run.household_id,
        attempt=1,
    )


def _approval(run: Run, now: datetime) -> Approval:
    return Approval(
        approval_id=ids.derive("bench", "approval", run.run_id),
        household_id=HOUSEHOLDS[0],
        conversation_id=run.conversation_id or "",
        run_id=run.run_id,
        command_id=run.command_id,
        requested_by=HOUSEHOLDS[0],
        action_kind="transfer",
        action_summary="transfer 100 EUR",
        action_hash=_HASH,
        policy_version="bench",
        status=ApprovalStatus.PENDING,
        created_at=run.created_at,
        expires_at=now + timedelta(hours=72),
    )


def _command(run: Run) -> Command:
    return Command(
        command_id=run.command_id,
        household_id=run.household_id,
        queue=run.queue,
        command_type=run.command_type,
        request_hash=_HASH,
        envelope="{}".ljust(600),
        recorded_at=run.created_at,
    )


def _key(run: Run) -> Key:
    return Key(
        queue=run.queue,
        command_id=run.command_id,
        request_hash=_HASH,
        status=KeyStatus.COMPLETED,
        run_id=run.run_id,
        correlation_id=run.correlation_id,
        attempt=1,
        excused=0,
        owner_token=run.run_id,
        lease_seconds=0,
        sequence_number=1,
        created_at=run.created_at,
        expires_at=run.created_at + timedelta(days=KEPT_DAYS),
        finalized_at=run.created_at,
        resolution_code="completed",
    )


def _stage(run: Run) -> Stage:
    return Stage(
        run_id=run.run_id,
        command_id=run.command_id,
        correlation_id=run.correlation_id,
        queue=run.queue,
        attempt=1,
        order=1,
        name="answer",
        executor="bench",
        status=StageStatus.SUCCEEDED,
        confidence=0.9,
        outcome_code="answered",
        outcome_rationale="twelve transactions",
        started_at=run.created_at,
        completed_at=run.created_at,
    )
