"""How long the read models take, by how many runs the tables hold: the services themselves on Azurite's tables.

Azurite looks at every row of a table for a range, and at every row of `AgentRuns` for one of them, which Table Storage
does not: its own times stand beside each figure, taken in the same moments.
"""

from __future__ import annotations

import base64
import os
import secrets
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Final

from bench import requests
from bench.results import Row, at_most
from mosaic_core.adapters import rows
from mosaic_core.adapters.rows import Row as TableRow
from mosaic_core.adapters.tables import TableStores, ensure_tables, open_table_stores
from mosaic_core.adapters.tables.keys import encode, join
from mosaic_core.adapters.tables.stores import INDEX, STAGES, lists_of_command
from mosaic_core.concurrency import each
from mosaic_core.config import Connection
from mosaic_core.domain import ids
from mosaic_core.domain.errors import StoreUnreachableError
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_core.domain.lifecycle import ApprovalStatus, AttemptOutcome, KeyStatus, RunStatus, Severity, StageStatus
from mosaic_core.domain.records import Approval, Command, Key, Run, Signal, Stage
from mosaic_core.services.approval_pages import take
from mosaic_core.services.operators.runs import RunFilter
from mosaic_core.services.operators.service import OperatorService
from mosaic_core.services.operators.signals import SignalFilter
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
"""Keys live that long; commands and stages of older runs are left out too, so that many runs can be written at all."""

HOUSEHOLDS: Final = tuple(f"{number:032x}" for number in range(0xBE0C_0000, 0xBE0C_0032))
PER_CONVERSATION: Final = 20
REVIEWS: Final = 50
"""One run of so many asks for a review; one of ten times as many failed."""

APPROVALS: Final = 20
"""That wait for one household, however many runs there are."""

LANES: Final = (Lane.CONVERSATION, Lane.CONVERSATION, Lane.INGESTION, *Lane)
"""Whose the runs are, in turn: conversations are most of them."""

_BATCH: Final = 100
_AT_ONCE: Final = 24
_TRIES: Final = 5
"""Of a write while the tables are filled: they answer late where a machine has other things to do."""

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
    many, calls = int(os.environ.get("MOSAIC_BENCH_RUNS", RUNS)), 10 if quick else CALLS
    if many <= FEW:
        raise ValueError(f"MOSAIC_BENCH_RUNS has to be more than {FEW}")
    async with _tables() as tables:
        filled = _Filled(tables, datetime.now(UTC))
        await filled.up_to(FEW, of=many)
        few = await _times(_questions(filled), calls)
        await filled.up_to(many, of=many)
        questions = _questions(filled)
        asked = {name: await _requests(questions[name]) for name in _QUESTIONS}
        found = await _times(questions, calls)
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


def _questions(filled: _Filled) -> dict[str, Question]:
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
async def _tables() -> AsyncIterator[TableStores]:
    """An Azurite of its own, in memory: one that writes its rows to a file stops for that every few seconds."""
    keys = Secrets("mosaicbench", base64.b64encode(secrets.token_bytes(32)).decode(), "", "")
    with tempfile.TemporaryDirectory() as folder:
        part = azurite.start(None, 0, 0, keys, Path(folder) / "azurite.log", lambda _part, _code: None)
        try:
            table, blob = (int(part.answer(name, azurite.READY_SECONDS)[name]) for name in ("table", "blob"))
            found = [azurite.connection_string(keys, blob, table, service) for service in ("Table", "Blob")]
            tables, blobs = (Connection(connection_string=it) for it in found)
            await ensure_tables(tables, blobs)
            opened = open_table_stores(tables, blobs)
            try:
                yield opened
            finally:
                await opened.close()
        finally:
            part.stop(azurite.STOP_SECONDS)


@dataclass
class _Filled:
    """Runs as workers leave them behind, spread over the last `DAYS`; written newest first, so that the newest are the
    same ones however many there are."""

    tables: TableStores
    now: datetime
    newest: list[Run] = field(default_factory=list)
    asking: str = HOUSEHOLDS[0]
    count: int = 0

    async def up_to(self, count: int, *, of: int) -> None:
        made = [self._run(number, of) for number in range(self.count, count)]
        self.newest = self.newest or made[:PER_CONVERSATION]
        lists: defaultdict[str, dict[str, TableRow]] = defaultdict(dict)
        for run in made:
            row: TableRow = {"Queue": run.queue, "CommandId": run.command_id, "HouseholdId": run.household_id}
            for partition, row_key in lists_of_command(run.household_id, run.queue, run.command_id, run.created_at):
                lists[partition][row_key] = row
            of_conversation = join("conversation", run.household_id, run.conversation_id or "")
            place = join(rows.newest_first(run.created_at), run.queue, run.command_id)
            lists[of_conversation][place] = {"Queue": run.queue, "CommandId": run.command_id}
        chunks = [
            (partition, dict(list(listed.items())[start : start + _BATCH]))
            for partition, listed in lists.items()
            for start in range(0, len(listed), _BATCH)
        ]
        await each(chunks, lambda it: _again(lambda: self.tables.tables.insert_all(INDEX, *it)), at_once=2)
        await each(enumerate(made, start=self.count), lambda it: _again(lambda: self._write(*it)), at_once=_AT_ONCE)
        self.count = count

    def _run(self, number: int, of: int) -> Run:
        lane = LANES[number % len(LANES)]
        queue, begun = RULES[lane].default_queue, self.now - timedelta(days=DAYS) * (number / of)
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
        stores = self.tables.stores
        await stores.runs.insert(run)
        if run.status == RunStatus.NEEDS_REVIEW:
            await stores.signals.insert(_signal(run))
        if number < APPROVALS:
            await stores.approvals.insert(_approval(run, self.now))
        if self.now - run.created_at < timedelta(days=KEPT_DAYS):
            await stores.commands.insert(_command(run))
            await stores.keys.insert(_key(run))
            stage = _stage(run)
            await self.tables.tables.insert(STAGES, encode(run.run_id), "000001-001", rows.encode_stage(stage))


async def _again[T](write: Callable[[], Awaitable[T]]) -> T:
    """An insert that was made unseen finds its row there, which is as good."""
    for _ in range(_TRIES - 1):
        try:
            return await write()
        except StoreUnreachableError:
            continue
    return await write()


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
