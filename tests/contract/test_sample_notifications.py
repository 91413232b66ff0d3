"""The sample consumer of docs/samples/notifications: its function on the runtime's own events, over a real table."""

from __future__ import annotations

import importlib
import json
import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import azure.functions as func
import pytest
from azure.core.exceptions import ServiceRequestError
from azure.data.tables import TableClient, TableServiceClient

from mosaic_core import notices, telemetry
from mosaic_core.adapters.eventhubs import cloud_event
from mosaic_core.adapters.told import ToldApprovals, ToldSignals
from mosaic_core.ports import RuntimeEvent
from mosaic_ops.memory.messaging import ManualClock, MemoryPublisher
from mosaic_ops.memory.stores import memory_stores
from tests.support.azurite import Azurite
from tests.unit.test_told import NOW, approval, finding, signal

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "samples" / "notifications"


@pytest.fixture
def sample(monkeypatch: pytest.MonkeyPatch, azurite: Azurite) -> Iterator[ModuleType]:
    """The sample's function_app, as a host imports it."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setenv("TablesConnection", azurite.tables.connection_string)
    before = sys.modules.pop("function_app", None)
    try:
        yield importlib.import_module("function_app")
    finally:
        for name in ("function_app", "notifications"):
            sys.modules.pop(name, None)
        if before is not None:
            sys.modules["function_app"] = before


async def told(household: str) -> list[RuntimeEvent]:
    """What the runtime tells where an approval, a finding and a household-less signal are written, and an approval is
    soon over."""
    publisher = MemoryPublisher()
    stores = memory_stores(ManualClock(NOW))
    asked = replace(approval(), household_id=household, approval_id=uuid.uuid4().hex)
    await ToldApprovals(stores.approvals, publisher).insert(asked)
    await publisher.confirm(notices.approval_expiring(asked), 1)
    signals = ToldSignals(stores.signals, publisher)
    await signals.insert(replace(finding(), household_id=household, signal_id=uuid.uuid4().hex))
    await signals.insert(replace(signal(), household_id=None))
    publisher.publish(
        telemetry.enqueued_event(
            command_id=uuid.uuid4().hex,
            correlation_id="sweep",
            command_type="nightly_anomaly_sweep",
            queue="runtime-nightly-anomaly-sweep",
            household_id=household,
            at=NOW,
        )
    )
    return publisher.events


def delivered(events: list[RuntimeEvent]) -> list[func.EventHubEvent]:
    return [func.EventHubEvent(body=json.dumps(cloud_event(event)).encode()) for event in events]


def handler(sample: ModuleType) -> Any:
    [function] = sample.app.get_functions()
    return function.get_user_function()


def rows(azurite: Azurite, household: str) -> list[dict[str, Any]]:
    with TableServiceClient.from_connection_string(azurite.tables.connection_string) as service:
        table = service.get_table_client("HouseholdNotifications")
        return [dict(row) for row in table.query_entities(f"PartitionKey eq '{household}'")]


async def test_each_event_becomes_one_row_however_often_it_comes(sample: ModuleType, azurite: Azurite) -> None:
    household = uuid.uuid4().hex
    events = await told(household)
    notify = handler(sample)
    for batch in (events, events[:2], events):  # the hub delivers at least once
        notify(delivered(batch))
    found = rows(azurite, household)
    assert sorted(row["Kind"] for row in found) == sorted(notices.NOTICES)
    [asked] = [row for row in found if row["Kind"] == "approval_requested"]
    assert asked["ApprovalId"] == events[0].data["approvalId"]
    assert asked["ExpiresAtUtc"] == events[0].data["expiresAtUtc"]
    # the newest first: what is soon over was told last
    assert found[0]["Kind"] == "approval_expiring"


async def test_what_cannot_be_read_stops_nobody_else_s(sample: ModuleType, azurite: Azurite) -> None:
    household = uuid.uuid4().hex
    good = cloud_event((await told(household))[0])
    broken: list[Any] = [
        b"{",
        b"[]",
        b'"x"',
        {"type": "mosaic.runtime.approval_requested"},
        good | {"data": {}},
        good | {"id": "'; drop"},
        good | {"time": "soon"},
        good | {"data": good["data"] | {"householdId": "../other"}},
        good | {"type": "mosaic.runtime.something_newer"},
    ]
    bodies = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in (*broken, good)]
    handler(sample)([func.EventHubEvent(body=body) for body in bodies])
    assert [row["Kind"] for row in rows(azurite, household)] == ["approval_requested"]


async def test_a_table_that_is_away_fails_the_batch_so_that_it_comes_again(
    sample: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise ServiceRequestError("away")

    monkeypatch.setattr(TableClient, "create_entity", away)
    with pytest.raises(ServiceRequestError):
        handler(sample)(delivered(await told(uuid.uuid4().hex)))


def test_the_trigger_is_the_hub_s_and_keeps_trying(sample: ModuleType) -> None:
    [function] = sample.app.get_functions()
    trigger = function.get_trigger()
    assert trigger is not None
    said = trigger.get_dict_repr()
    assert said["eventHubName"] == "%TelemetryHub%"
    assert said["connection"] == "EventHubsConnection"
    notifications = importlib.import_module("notifications")
    assert set(notifications.TEXTS) == {notices.TYPE_PREFIX + kind for kind in notices.NOTICES}
    host = json.loads((FOLDER / "host.json").read_text("utf-8"))
    assert host["version"] == "2.0"
