"""What the broker's contract suite speaks to: an embedded broker of its own, or a namespace that the environment names
(a real one, Microsoft's emulators, another broker). docs/embedded-stack.md has the settings."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from azure.servicebus.management import ServiceBusAdministrationClient

from tests.support.amqp import KEY, KEY_NAME, Client, parts
from tests.support.atom import Admin, group, hub
from tests.support.broker import RunningBroker, running_broker

SERVICE_BUS: Final = "MOSAIC_TEST_SERVICEBUS"
SERVICE_BUS_ADMIN: Final = "MOSAIC_TEST_SERVICEBUS_ADMIN"
EVENT_HUBS: Final = "MOSAIC_TEST_EVENTHUBS"
EVENT_HUBS_ADMIN: Final = "MOSAIC_TEST_EVENTHUBS_ADMIN"
CA_FILE: Final = "MOSAIC_TEST_CA"
LOCK: Final = "MOSAIC_TEST_SHORTEST_LOCK"
type Entity = dict[str, Any]
"""A queue or an event hub, in the words of the broker's configuration."""

DECLARED: Final = "none"
"""For an administration: there is none; the entities are there, by the names that the tests have for them."""

FOREIGN: Final = bool(os.environ.get(SERVICE_BUS) or os.environ.get(EVENT_HUBS))
SHORTEST_LOCK: Final = float(os.environ.get(LOCK) or 5) if FOREIGN else 0.0
"""Seconds. Azure knows none below five."""


@dataclass(frozen=True)
class BackEnd:
    """``own``: the embedded broker, where it is one. What asks for a part that is not there skips its test."""

    bus: str
    bus_admin: str
    hubs: str
    hubs_admin: str
    ca_file: Path | None
    prefix: str = ""
    own: RunningBroker | None = None

    def named(self, name: str) -> str:
        """What an entity of the tests is called there."""
        return self.prefix + name

    @property
    def service_bus(self) -> str:
        """Its connection string."""
        if not self.bus:
            pytest.skip(f"{SERVICE_BUS} is not set, {EVENT_HUBS} is")
        return self.bus

    @property
    def event_hubs(self) -> str:
        """Their connection string."""
        if not self.hubs:
            pytest.skip(f"{EVENT_HUBS} is not set, {SERVICE_BUS} is")
        return self.hubs

    @property
    def administration(self) -> str:
        """Its connection string."""
        if not self.bus_admin:
            pytest.skip(f"{SERVICE_BUS_ADMIN} is {DECLARED}, or there is no Service Bus")
        return self.bus_admin

    def administration_client(self, key: str | None = None) -> ServiceBusAdministrationClient:
        return ServiceBusAdministrationClient.from_connection_string(
            with_key(self.administration, key),
            connection_verify=str(self.ca_file) if self.ca_file else True,
            retry_total=0,
        )

    def hub_administration(self) -> Admin:
        if not self.hubs_admin:
            pytest.skip(f"{EVENT_HUBS_ADMIN} is {DECLARED}, or there are no Event Hubs")
        return Admin(self.hubs_admin, self.ca_file, self.prefix)

    def proton(self, *, plain: bool = True, key: str | None = None, name: str | None = None) -> Client:
        """A client that is none of Microsoft's. ``plain``: by user and password, else by tokens."""
        connection = with_key(self.service_bus, key)
        told = parts(connection)
        user = name or told["SharedAccessKeyName"]
        return Client(address(connection), user, told["SharedAccessKey"], plain=plain, prefix=self.prefix)

    def proton_of_hubs(self, *, plain: bool = True) -> Client:
        told = parts(self.event_hubs)
        user, key = told["SharedAccessKeyName"], told["SharedAccessKey"]
        return Client(address(self.event_hubs), user, key, plain=plain, prefix=self.prefix)


def with_key(connection: str, key: str | None) -> str:
    """The same with another key; None: as it is."""
    if key is None:
        return connection
    return ";".join(f"{name}={value}" for name, value in (parts(connection) | {"SharedAccessKey": key}).items())


def address(connection: str) -> str:
    """Where AMQP is spoken: ``amqp://localhost:5672``, ``amqps://example.servicebus.windows.net``."""
    told = parts(connection)
    host = told["Endpoint"].removeprefix("sb://").rstrip("/")
    return f"{'amqp' if told.get('UseDevelopmentEmulator', '').lower() == 'true' else 'amqps'}://{host}"


@contextmanager
def back_end(folder: Path, queues: Sequence[Entity] = (), event_hubs: Sequence[Entity] = ()) -> Iterator[BackEnd]:
    """One with these entities, in the words of the broker's configuration. What was made elsewhere is deleted at the
    end, with whatever else begins with the prefix."""
    if not FOREIGN:
        keys = {"sasKeyName": KEY_NAME, "sasKey": KEY}
        with running_broker(folder, queues=list(queues), eventHubs=list(event_hubs), **keys) as own:
            bus, admin = own.connection(KEY), own.administration(KEY)
            yield BackEnd(bus, admin, bus, admin, own.ca_file, own=own)
        return
    told = _named()
    try:
        if told.prefix and told.bus:
            _make_queues(told, queues)
        if told.prefix and told.hubs:
            _make_hubs(told, event_hubs)
        yield told
    finally:
        _remove(told)


def _named() -> BackEnd:
    def administration(of: str, setting: str) -> str:
        found = os.environ.get(setting) or of
        return "" if found == DECLARED else found

    bus, hubs = os.environ.get(SERVICE_BUS, ""), os.environ.get(EVENT_HUBS, "")
    bus_admin, hubs_admin = administration(bus, SERVICE_BUS_ADMIN), administration(hubs, EVENT_HUBS_ADMIN)
    ca_file = os.environ.get(CA_FILE)
    # One prefix for both: where one of them has no administration, its entities are there by their plain names.
    declared = (bus and not bus_admin) or (hubs and not hubs_admin)
    prefix = "" if declared else f"mosaic-test-{uuid.uuid4().hex[:8]}-"
    return BackEnd(bus, bus_admin, hubs, hubs_admin, Path(ca_file) if ca_file else None, prefix)


def _make_queues(told: BackEnd, queues: Sequence[Entity]) -> None:
    with told.administration_client() as client:
        for queue in queues:
            client.create_queue(
                told.named(queue["name"]),
                lock_duration=timedelta(seconds=max(SHORTEST_LOCK, queue.get("lockSeconds", 60))),
                max_delivery_count=queue.get("maxDeliveryCount", 10),
                default_message_time_to_live=timedelta(seconds=queue.get("ttlSeconds", 14 * 86_400)),
                dead_lettering_on_message_expiration=True,
            )


def _make_hubs(told: BackEnd, hubs: Sequence[Entity]) -> None:
    admin = told.hub_administration()
    for each in hubs:
        name = each["name"]
        status, _ = admin.ask("PUT", name, hub(f"<PartitionCount>{each['partitions']}</PartitionCount>"))
        assert status == 201, f"event hub {name} could not be made: {status}"
        for one in each.get("consumerGroups", ()):
            assert admin.ask("PUT", f"{name}/consumergroups/{one}", group())[0] == 201


def _remove(told: BackEnd) -> None:
    if not told.prefix:
        return
    if told.bus:
        with told.administration_client() as client:
            for queue in [queue.name for queue in client.list_queues() if queue.name.lower().startswith(told.prefix)]:
                client.delete_queue(queue)
    if told.hubs:
        admin = told.hub_administration()
        for title in admin.titles("$Resources/EventHubs"):
            admin.ask("DELETE", title)
