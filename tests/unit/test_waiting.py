"""Whoever waits is told at the change: long polls of the stream and of the approvals, on a time of the test's own."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from mosaic_core.bootstrap import Container
from mosaic_core.config import Settings
from mosaic_core.domain.lifecycle import ApprovalStatus, RunStatus, StageStatus
from mosaic_core.domain.policy.approval import due_at
from mosaic_core.ports import RunStore, Stores
from mosaic_core.services.read_models import ReadModels
from mosaic_core.services.views import ConversationStream, View
from mosaic_core.services.waiting import (
    LONGEST_PAUSE_SECONDS,
    MAX_WAIT_SECONDS,
    MOST_OF_ONE_HOUSEHOLD,
    MOST_WAITING,
    RETRY_AFTER_SECONDS,
    Waiting,
    Written,
    is_same_tag,
)
from tests.support import records
from tests.support.api import ALICE_HOUSEHOLD, BOB_HOUSEHOLD, CONVERSATION, Answer, ApiWorld
from tests.unit.test_config import MINIMAL
from tests.unit.test_http_reading import History

ROOT = Path(__file__).resolve().parents[2]
STREAM = f"/conversations/{CONVERSATION}/stream"
WAIT = "waitSeconds=20"


@dataclass
class Time:
    """The waiting calls' time: it passes while they sleep, and what a test planned happens meanwhile."""

    now: float = 0.0
    plan: list[tuple[float, Callable[[], Awaitable[object]]]] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def at(self, seconds: float, happens: Callable[[], Awaitable[object]]) -> None:
        self.plan.append((seconds, happens))

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        for due, happens in [one for one in self.plan if one[0] <= self.now]:
            self.plan.remove((due, happens))
            await happens()


class Household:
    """A household's API, with what a worker writes meanwhile."""

    def __init__(self, world: ApiWorld) -> None:
        self.world = world
        self.time = Time()
        self.history = History(world)
        self.waiting = Waiting(monotonic=lambda: self.time.now, sleep=self.time.sleep)
        self.reads = 0
        world.read_models = ReadModels(self._counted(world.stores), world.clock, waiting=self.waiting)

    def _counted(self, stores: Stores) -> Stores:
        household = self

        class Runs:
            async def read(self, run_id: str) -> Any:
                household.reads += 1
                return await stores.runs.read(run_id)

        return replace(stores, runs=cast(RunStore, Runs()))

    async def get(self, path: str, seen: Answer | None = None, **more: Any) -> Answer:
        headers = {"If-None-Match": seen.headers["ETag"]} if seen is not None else {}
        return await self.world.get(path, headers=headers, **more)

    async def finish(self, number: int) -> None:
        stored = next(one for one in [await self.world.stores.runs.read(run) for run in await self._runs()] if one)
        assert stored.value.command_id == f"{number:032x}"
        ended = replace(
            stored.value, status=RunStatus.COMPLETED, is_final=True, completed_at=stored.value.last_modified_at
        )
        assert await self.world.stores.runs.update(ended, stored.etag)

    async def _runs(self) -> list[str]:
        found = await self.world.get(STREAM)
        return [run["runId"] for run in found.json["runs"]]

    async def running(self, number: int) -> None:
        await self.history.run(
            number, status=RunStatus.RUNNING, is_final=False, attempt_outcome=None, completed_at=None
        )


@pytest.fixture
async def household() -> Household:
    return Household(await ApiWorld().with_members())


# -------------------------------------------------------------------------------------------------------- the stream


async def test_without_a_wait_the_answer_comes_at_once_with_its_tag(household: Household) -> None:
    await household.running(1)
    first = await household.get(STREAM)
    assert (first.status, household.time.pauses) == (200, [])
    again = await household.get(STREAM, first)
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", first.headers["ETag"])


async def test_a_run_that_ends_is_told_when_it_ends(household: Household) -> None:
    await household.running(1)
    seen = await household.get(STREAM)
    household.time.at(6, lambda: household.finish(1))
    told = await household.get(f"{STREAM}?{WAIT}", seen)
    assert told.status == 200
    assert told.json["runs"][0]["status"] == "Completed"
    assert 6 <= household.time.now <= 6 + LONGEST_PAUSE_SECONDS


async def test_a_command_that_is_posted_and_one_that_begins_are_told(household: Household) -> None:
    await household.history.command(1)
    seen = await household.get(STREAM)
    household.time.at(3, lambda: household.running(1))
    told = await household.get(f"{STREAM}?{WAIT}", seen)
    assert [run["status"] for run in told.json["runs"]] == ["Running"]
    household.time.at(8, lambda: household.history.run(2))
    more = await household.get(f"{STREAM}?{WAIT}", told)
    assert [run["status"] for run in more.json["runs"]] == ["Completed", "Running"]
    assert household.time.now < 12


async def test_what_changed_between_two_calls_is_told_at_once(household: Household) -> None:
    await household.running(1)
    seen = await household.get(STREAM)
    await household.finish(1)
    told = await household.get(f"{STREAM}?{WAIT}", seen)
    assert (told.status, household.time.pauses) == (200, [])
    assert told.json["runs"][0]["isFinal"]


async def test_a_change_that_an_earlier_clock_stamped_is_told(household: Household) -> None:
    """A worker whose clock is behind writes a time before the answer that the caller has seen."""
    await household.running(1)
    seen = await household.get(STREAM)
    behind = household.world.clock.now() - timedelta(minutes=4)
    [run_id] = await household._runs()
    stored = await household.world.stores.runs.read(run_id)
    assert stored is not None
    ended = replace(stored.value, status=RunStatus.COMPLETED, is_final=True, completed_at=behind)
    await household.world.stores.runs.update(replace(ended, last_modified_at=behind), stored.etag)
    told = await household.get(f"{STREAM}?{WAIT}", seen)
    assert (told.status, household.time.pauses) == (200, [])


async def test_at_the_end_of_the_wait_there_is_what_there_is(household: Household) -> None:
    await household.running(1)
    seen = await household.get(STREAM)
    same = await household.get(f"{STREAM}?{WAIT}", seen)
    assert (same.status, household.time.now) == (304, 20)
    plain = await household.get(f"{STREAM}?{WAIT}")
    assert (plain.status, household.time.now) == (200, 40)
    assert plain.headers["ETag"] == seen.headers["ETag"]


async def test_what_no_look_sees_is_there_at_the_end(household: Household) -> None:
    run = await household.history.run(1)
    seen = await household.get(STREAM)
    stage = await household.history.stage(run, 1, status=StageStatus.SUCCEEDED)
    household.time.at(1, lambda: household.world.stores.stages.insert_all([stage]))
    told = await household.get(f"{STREAM}?{WAIT}", seen)
    assert (told.status, household.time.now) == (200, 20)
    assert told.json["runs"][0]["latestStage"]["name"] == "stage-1"


async def test_without_a_tag_the_change_counts_from_the_call_on(household: Household) -> None:
    await household.running(1)
    household.time.at(4, lambda: household.finish(1))
    told = await household.get(f"{STREAM}?{WAIT}")
    assert told.json["runs"][0]["isFinal"]
    assert 4 <= household.time.now <= 6


async def test_with_since_what_was_modified_since_is_news_at_once(household: Household) -> None:
    run = await household.history.run(1)
    since = (run.last_modified_at - timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    told = await household.get(f"{STREAM}?sinceUtc={since}&{WAIT}")
    assert (len(told.json["runs"]), household.time.pauses) == (1, [])
    # the same again is no news to who sends the tag
    same = await household.get(f"{STREAM}?sinceUtc={since}&{WAIT}", told)
    assert (same.status, household.time.now) == (304, 20)


async def test_with_since_and_nothing_new_the_next_run_is_waited_for(household: Household) -> None:
    run = await household.history.run(1)
    since = (run.last_modified_at + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    household.time.at(5, lambda: household.history.run(60))
    told = await household.get(f"{STREAM}?sinceUtc={since}&{WAIT}")
    assert [one["commandId"] for one in told.json["runs"]] == [f"{60:032x}"]
    assert household.time.now < 8


async def test_a_look_is_one_range_and_the_runs_that_have_not_ended(household: Household) -> None:
    for number in range(1, 41):
        await household.history.run(number)
    await household.running(41)
    seen = await household.get(STREAM)
    before = household.reads
    await household.get(f"{STREAM}?waitSeconds=25", seen)
    looks = len(household.time.pauses) - 1  # at the end all of it is read
    assert looks <= 18
    assert household.reads - before == looks + 2 * 41
    assert household.time.pauses == sorted(household.time.pauses[:-1]) + household.time.pauses[-1:]


async def test_another_household_s_conversation_is_not_waited_for(household: Household) -> None:
    await household.history.run(1, household=BOB_HOUSEHOLD)
    found = await household.get(f"{STREAM}?{WAIT}")
    assert (found.status, household.time.pauses) == (404, [])


@pytest.mark.parametrize("value", ["-1", "26", "1.5", "", "soon", "1e1"])
async def test_a_wait_is_a_whole_number_of_seconds_up_to_25(household: Household, value: str) -> None:
    await household.history.run(1)
    for path in (STREAM, "/approvals"):
        found = await household.get(f"{path}?waitSeconds={value}")
        assert (found.status, found.fields) == (400, ["waitSeconds"])


# ------------------------------------------------------------------------------------------------------- approvals


async def test_an_approval_is_told_when_it_is_asked_for_and_when_it_is_decided(household: Household) -> None:
    run = await household.history.run(1)
    stores = household.world.stores
    none = await household.get("/approvals?status=pending")
    asked = replace(
        records.APPROVAL,
        household_id=ALICE_HOUSEHOLD,
        run_id=run.run_id,
        status=ApprovalStatus.PENDING,
        decided_at=None,
        created_at=household.world.clock.now(),
        expires_at=household.world.clock.now() + timedelta(hours=72),
    )
    household.time.at(2, lambda: stores.approvals.insert(asked))
    told = await household.get(f"/approvals?status=pending&{WAIT}", none)
    assert [one["approvalId"] for one in told.json["approvals"]] == [asked.approval_id]
    assert household.time.now < 4

    async def decide() -> None:
        stored = await stores.approvals.read(asked.household_id, asked.approval_id)
        assert stored is not None
        await stores.approvals.update(
            replace(stored.value, status=ApprovalStatus.APPROVED, decided_at=household.world.clock.now()), stored.etag
        )

    household.time.at(9, decide)
    everything = await household.get("/approvals")
    gone = await household.get(f"/approvals?status=pending&{WAIT}", told)
    assert gone.json["approvals"] == []
    assert 9 <= household.time.now <= 11
    # whoever has the list of all of them is told of the decision, too
    approved = await household.get(f"/approvals?{WAIT}", everything)
    assert [one["status"] for one in approved.json["approvals"]] == ["approved"]


@pytest.mark.parametrize("path", ["/approvals?status=pending&", f"{STREAM}?"])
async def test_an_approval_whose_time_is_over_is_told_though_nobody_wrote_it(household: Household, path: str) -> None:
    asked = await household.history.approval(await household.history.run(1))
    seen = await household.get(path)

    async def pass_time() -> None:
        clock = household.world.clock
        clock.advance((due_at(asked) - clock.now()).total_seconds())

    household.time.at(3, pass_time)
    told = await household.get(path + WAIT, seen)
    assert told.status == 200
    assert household.time.now < 6
    assert told.json["approvals" if path.startswith("/approvals") else "pendingApprovals"] == []


# ----------------------------------------------------------------------------------------------------------- bounds


async def blocked(
    household: Household, count: int, token: str = "alice", path: str = STREAM
) -> list[asyncio.Task[Answer]]:
    """Calls that wait, on a time that stands still."""

    async def for_ever(_: float) -> None:
        await asyncio.Event().wait()

    household.waiting.sleep = for_ever
    before = household.waiting.count
    tasks = [asyncio.create_task(household.get(f"{path}?{WAIT}", token=token)) for _ in range(count)]
    for _ in range(1000):
        if household.waiting.count == before + count:
            return tasks
        await asyncio.sleep(0)
    raise AssertionError("they do not wait")


async def end(tasks: list[asyncio.Task[Answer]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_one_household_does_not_take_all_places(household: Household) -> None:
    await household.running(1)
    tasks = await blocked(household, MOST_OF_ONE_HOUSEHOLD)
    refused = await household.get(f"{STREAM}?{WAIT}")
    assert (refused.status, refused.headers["Retry-After"]) == (200, str(RETRY_AFTER_SECONDS))
    assert [run["status"] for run in refused.json["runs"]] == ["Running"]
    others = await blocked(household, 1, token="bob", path="/approvals")
    await end(tasks + others)
    assert household.waiting.count == 0


async def test_beyond_the_bound_the_answer_comes_at_once(household: Household) -> None:
    await household.running(1)
    household.waiting.most = 2
    tasks = await blocked(household, 2)
    seen = await household.get(STREAM)
    refused = await household.get(f"{STREAM}?{WAIT}", seen)
    assert (refused.status, refused.headers["Retry-After"]) == (304, str(RETRY_AFTER_SECONDS))
    assert "Retry-After" not in (await household.get(STREAM)).headers
    await end(tasks)
    assert len(await blocked(household, 1)) == 1
    household.waiting.drain.begin()


async def test_a_caller_who_goes_away_frees_the_place(household: Household) -> None:
    await household.running(1)
    tasks = await blocked(household, MOST_OF_ONE_HOUSEHOLD)
    await end(tasks[:1])
    assert household.waiting.count == MOST_OF_ONE_HOUSEHOLD - 1
    await end(tasks[1:])


async def test_a_drain_ends_every_wait_at_once_with_what_there_is(household: Household) -> None:
    await household.running(1)
    tasks = await blocked(household, 2)
    await household.finish(1)
    household.waiting.drain.begin()
    answers = await asyncio.wait_for(asyncio.gather(*tasks), 5)
    assert all(answer.json["runs"][0]["isFinal"] for answer in answers)
    assert household.waiting.count == 0
    late = await asyncio.wait_for(household.get(f"{STREAM}?{WAIT}"), 5)
    assert late.status == 200


async def test_a_look_that_fails_frees_the_place(household: Household, monkeypatch: pytest.MonkeyPatch) -> None:
    await household.running(1)

    async def fail(*_: Any) -> Any:
        raise ValueError("no such row")

    async def break_down() -> None:
        monkeypatch.setattr(household.world.stores.runs, "read", fail)

    household.time.at(1, break_down)
    assert (await household.get(f"{STREAM}?{WAIT}")).status == 500
    assert household.waiting.count == 0


def test_the_limits_hold_within_the_platform_s() -> None:
    host = json.loads((ROOT / "host.json").read_text("utf-8"))
    hours, minutes, seconds = map(int, host["functionTimeout"].split(":"))
    front_end = 230
    assert min(hours * 3600 + minutes * 60 + seconds, front_end) > 2 * MAX_WAIT_SECONDS
    bicep = (ROOT / "infra" / "main.bicep").read_text("utf-8")
    found = re.search(r"param httpPerInstanceConcurrency int = (\d+)", bicep)
    assert found is not None
    assert MOST_OF_ONE_HOUSEHOLD < MOST_WAITING <= int(found[1]) // 2


def test_the_app_waits_on_the_worker_s_drain() -> None:
    container = Container(Settings.from_env(MINIMAL))
    assert container.read_models.waiting.drain is container.drain


@pytest.mark.parametrize(
    ("seen", "same"),
    [('W/"a"', True), ('"a"', True), ('"b", W/"a"', True), ("*", True), ('"b"', False), ("a", False), ('W/"A"', False)],
)
def test_tags_are_compared_weakly(seen: str, same: bool) -> None:
    assert is_same_tag(seen, 'W/"a"') is same


async def test_an_answer_is_written_once_for_its_tag_and_its_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of 50 runs is what costs; its own time is written beside it."""
    world = await ApiWorld().with_members()
    await world.post(f"/conversations/{CONVERSATION}/messages", {"message": "hi"})
    written: list[dict[str, Any]] = []
    dump = ConversationStream.model_dump_json

    def counted(self: ConversationStream, **how: Any) -> str:
        written.append(json.loads(dump(self, **how)))
        return dump(self, **how)

    monkeypatch.setattr(ConversationStream, "model_dump_json", counted)
    answer = await world.get(f"/conversations/{CONVERSATION}/stream")
    assert len([one for one in written if "runs" in one]) == 1
    assert answer.json["asOfUtc"]
    assert set(answer.json) == {field.alias or name for name, field in ConversationStream.model_fields.items()}


def test_the_tag_is_of_the_content_and_the_body_is_all_of_it() -> None:
    class Two(View):
        as_of_utc: str
        runs: list[int]

    one, other = Written.of(Two(as_of_utc="1", runs=[1]), without={"as_of_utc"}), Two(as_of_utc="2", runs=[1])
    assert json.loads(one.text) == {"asOfUtc": "1", "runs": [1]}
    assert one.tag == Written.of(other, without={"as_of_utc"}).tag
    assert one.tag != Written.of(Two(as_of_utc="1", runs=[2]), without={"as_of_utc"}).tag
    assert json.loads(Written.of(other).text) == {"asOfUtc": "2", "runs": [1]}

    class Alone(View):
        as_of_utc: str

    assert json.loads(Written.of(Alone(as_of_utc="1"), without={"as_of_utc"}).text) == {"asOfUtc": "1"}
