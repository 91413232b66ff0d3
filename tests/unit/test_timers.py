"""The timers: what they run, when, and what they leave to the next tick."""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import azure.functions as func
import pytest

from mosaic_core.bootstrap import ROOT, Container
from mosaic_core.config import Settings
from mosaic_core.config.table import OUTBOX_SCHEDULE, RECONCILE_SCHEDULE, RETENTION_SCHEDULE, SCHEDULES, SWEEP_SCHEDULE
from mosaic_core.entrypoints.timers import APPROVALS_SCHEDULE, WATCH_SCHEDULE, create_blueprint
from mosaic_core.services.approvals_due import DueReport
from mosaic_core.services.nightly import NightlyReport
from mosaic_core.services.outbox import OutboxReport
from mosaic_core.services.reconciler import ReconcileReport
from mosaic_core.services.retention import RetentionReport
from mosaic_local.host.schedule import Schedule
from tests.unit.test_config import MINIMAL


@dataclass
class Nightly:
    report: NightlyReport = field(default_factory=NightlyReport)
    ticks: int = 0
    error: Exception | None = None

    async def tick(self) -> NightlyReport:
        self.ticks += 1
        if self.error is not None:
            raise self.error
        return self.report


@dataclass
class Unsent:
    report: OutboxReport = field(default_factory=OutboxReport)
    ticks: int = 0

    async def tick(self) -> OutboxReport:
        self.ticks += 1
        return self.report


def timers(
    nightly: Any = None,
    unsent: Any = None,
    due: Any = None,
    watch: Any = None,
    reconciler: Any = None,
    retention: Any = None,
) -> dict[str, Any]:
    app = func.FunctionApp()
    parts = (nightly, unsent, due, watch, reconciler, retention)
    app.register_functions(create_blueprint(*[partial(lambda part: part, part) for part in parts]))
    return {f"{found.get_function_name()}": found for found in app.get_functions()}


def timer(nightly: Any) -> Any:
    return timers(nightly)["nightly_sweep_timer"]


@dataclass
class Due:
    report: DueReport = field(default_factory=DueReport)

    async def tick(self) -> DueReport:
        return self.report


def due_timer(due: Any) -> Any:
    return timers(due=due)["approvals_due_timer"]


def own(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What the product logged, without the library."""
    return [r for r in caplog.records if r.name.startswith("mosaic_core")]


@pytest.fixture(autouse=True)
def no_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in (schedule.name for schedule in SCHEDULES):
        monkeypatch.delenv(setting, raising=False)


def test_the_sweeps_timer() -> None:
    found = timer(Nightly())
    assert found.get_function_name() == "nightly_sweep_timer"
    trigger = found.get_trigger().get_dict_repr()
    assert (trigger["type"], trigger["schedule"]) == ("timerTrigger", SWEEP_SCHEDULE.default)
    # a deployment must not sweep; a missed tick is made good by the next one
    assert (trigger["runOnStartup"], trigger["useMonitor"]) == (False, True)


def test_the_schedule_comes_from_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWEEP_SCHEDULE.name, "0 0 3 * * *")
    assert timer(Nightly()).get_trigger().get_dict_repr()["schedule"] == f"%{SWEEP_SCHEDULE.name}%"


def test_the_default_ticks_every_ten_minutes_around_the_clock() -> None:
    schedule, moment = Schedule.parse(SWEEP_SCHEDULE.default), datetime(2026, 12, 31, 22, 55, 1, tzinfo=UTC)
    ticks = []
    for _ in range(12):
        moment = schedule.next_after(moment)
        ticks.append(moment)
    assert ticks[0] == datetime(2026, 12, 31, 23, 0, tzinfo=UTC)
    assert ticks[-1] == datetime(2027, 1, 1, 0, 50, tzinfo=UTC)
    assert {b - a for a, b in itertools.pairwise(ticks)} == {timedelta(minutes=10)}


async def test_a_tick_says_what_it_enqueued(caplog: pytest.LogCaptureFixture) -> None:
    nightly = Nightly(NightlyReport((date(2026, 11, 23), date(2026, 11, 24)), 7))
    with caplog.at_level(logging.INFO):
        await timer(nightly).get_user_function()(None)
    assert nightly.ticks == 1
    [record] = own(caplog)
    assert (record.__dict__["nights"], record.__dict__["households"]) == (2, 7)
    assert record.__dict__["night"] == "2026-11-24"


async def test_a_tick_with_nothing_to_do_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        await timer(Nightly()).get_user_function()(None)
    assert own(caplog) == []


async def test_a_tick_that_fails_is_a_failed_invocation() -> None:
    with pytest.raises(RuntimeError, match="tables are away"):
        await timer(Nightly(error=RuntimeError("tables are away"))).get_user_function()(None)


async def test_a_tick_says_how_many_are_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    await timer(Nightly(NightlyReport((), 0, 3))).get_user_function()(None)
    [record] = own(caplog)
    assert (record.levelname, record.__dict__["households"]) == ("WARNING", 3)


def test_the_outbox_s_timer() -> None:
    trigger = timers()["unsent_commands_timer"].get_trigger().get_dict_repr()
    assert (trigger["type"], trigger["schedule"]) == ("timerTrigger", OUTBOX_SCHEDULE.default)
    assert (trigger["runOnStartup"], trigger["useMonitor"]) == (False, True)
    moment = datetime(2026, 12, 31, 23, 59, 1, tzinfo=UTC)
    assert Schedule.parse(OUTBOX_SCHEDULE.default).next_after(moment) - moment <= timedelta(minutes=1)


def test_the_outbox_s_schedule_comes_from_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OUTBOX_SCHEDULE.name, "0 */5 * * * *")
    found = timers()
    assert found["unsent_commands_timer"].get_trigger().get_dict_repr()["schedule"] == f"%{OUTBOX_SCHEDULE.name}%"
    assert found["nightly_sweep_timer"].get_trigger().get_dict_repr()["schedule"] == SWEEP_SCHEDULE.default


@pytest.mark.parametrize(("report", "said"), [(OutboxReport(), 0), (OutboxReport(sent=2, stopped=1), 1)])
async def test_the_outbox_s_tick_says_what_it_found(
    caplog: pytest.LogCaptureFixture, report: OutboxReport, said: int
) -> None:
    unsent = Unsent(report)
    await timers(unsent=unsent)["unsent_commands_timer"].get_user_function()(None)
    assert unsent.ticks == 1
    assert [(r.__dict__["sent"], r.__dict__["stopped"]) for r in own(caplog)] == [(2, 1)] * said


# ------------------------------------------------------------------------------------------------------ approvals due


def test_the_timer_of_approvals_ticks_between_the_sweeps() -> None:
    found = due_timer(Due())
    assert found.get_function_name() == "approvals_due_timer"
    trigger = found.get_trigger().get_dict_repr()
    assert (trigger["type"], trigger["schedule"]) == ("timerTrigger", APPROVALS_SCHEDULE)
    assert (trigger["runOnStartup"], trigger["useMonitor"]) == (False, True)
    assert Schedule.parse(APPROVALS_SCHEDULE).minutes == (5, 15, 25, 35, 45, 55)


async def test_the_timer_of_approvals_says_what_it_did(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        await due_timer(Due()).get_user_function()(None)
        assert own(caplog) == []
        await due_timer(Due(DueReport(enqueued=3, failed=1))).get_user_function()(None)
    [record] = own(caplog)
    assert (record.__dict__["enqueued"], record.__dict__["failed"]) == (3, 1)


# -------------------------------------------------------------------------------------------------------- lanes watch


@dataclass
class Watch:
    ticks: int = 0

    async def tick(self) -> None:
        self.ticks += 1


async def test_the_watch_ticks_as_often_as_an_alert_looks() -> None:
    watch = Watch()
    found = timers(watch=watch)["lanes_watch_timer"]
    trigger = found.get_trigger().get_dict_repr()
    assert (trigger["type"], trigger["schedule"], trigger["runOnStartup"]) == ("timerTrigger", WATCH_SCHEDULE, False)
    assert Schedule.parse(WATCH_SCHEDULE).minutes == tuple(range(0, 60, 5))
    await found.get_user_function()(None)
    assert watch.ticks == 1


@dataclass
class Reconciling:
    report: ReconcileReport

    async def tick(self) -> ReconcileReport:
        return self.report


@pytest.mark.parametrize(("report", "said"), [(ReconcileReport(ended=9), 0), (ReconcileReport(rejected=2), 1)])
async def test_the_reconciler_says_what_it_ended(
    caplog: pytest.LogCaptureFixture, report: ReconcileReport, said: int
) -> None:
    found = timers(reconciler=Reconciling(report))["reconciler_timer"]
    trigger = found.get_trigger().get_dict_repr()
    assert (trigger["schedule"], trigger["useMonitor"]) == (RECONCILE_SCHEDULE.default, True)
    await found.get_user_function()(None)
    assert [r.__dict__["rejected"] for r in own(caplog)] == [2] * said


@dataclass
class Retaining:
    report: RetentionReport

    async def tick(self) -> RetentionReport:
        return self.report


@pytest.mark.parametrize(("report", "said"), [(RetentionReport(kept=3), 0), (RetentionReport(removed=2), 1)])
async def test_retention_says_what_it_removed(
    caplog: pytest.LogCaptureFixture, report: RetentionReport, said: int
) -> None:
    found = timers(retention=Retaining(report))["retention_timer"]
    trigger = found.get_trigger().get_dict_repr()
    assert (trigger["schedule"], trigger["useMonitor"]) == (RETENTION_SCHEDULE.default, True)
    assert Schedule.parse(RETENTION_SCHEDULE.default).minutes == (2, 12, 22, 32, 42, 52)
    with caplog.at_level(logging.INFO):
        await found.get_user_function()(None)
    assert [r.__dict__["removed"] for r in own(caplog)] == [2] * said


def test_an_age_of_nought_is_for_ever() -> None:
    container = Container(Settings.from_env({**MINIMAL, "Retention__CommandDays": "0", "Retention__BlobDays": "60"}))
    assert container.retention.ages.commands is None
    assert container.retention.ages.blobs == timedelta(days=60)


def test_the_app_has_every_timer() -> None:
    """As the host indexes it."""
    container = Container(Settings.from_env(MINIMAL))
    app = func.FunctionApp()
    parts = ("nightly", "unsent", "approvals_due", "lanes_watch", "reconciler", "retention")
    app.register_functions(create_blueprint(*[partial(getattr, container, part) for part in parts]))
    names = [f.get_function_name() for f in app.get_functions()]
    assert names == [
        "nightly_sweep_timer",
        "unsent_commands_timer",
        "approvals_due_timer",
        "lanes_watch_timer",
        "reconciler_timer",
        "retention_timer",
    ]
    assert container.reconciler.function_timeout == 600
    text = (ROOT / "function_app.py").read_text()
    for part in parts:
        assert f"container.{part}" in text
