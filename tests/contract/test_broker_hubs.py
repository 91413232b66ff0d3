"""Event hubs and consumer groups by the administration endpoint: ATOM, as Event Hubs' own service takes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from proton import Message
from proton.utils import LinkDetached

from tests.support.amqp import KEY, KEY_NAME, Client
from tests.support.atom import BUS, Admin, group, hub
from tests.support.back_end import BackEnd, back_end
from tests.support.broker import running_broker

HUBS = [{"name": "Readings", "partitions": 2, "consumerGroups": ["dials"]}]
QUEUES = [{"name": "orders"}]


def queue(name: str, value: str) -> str:
    return hub(f"<{name}>{value}</{name}>").replace("EventHubDescription", "QueueDescription")


def fields(answer: ElementTree.Element | None, *names: str) -> list[str | None]:
    assert answer is not None
    return [answer.findtext(f".//{BUS}{name}") for name in names]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackEnd]:
    with back_end(tmp_path_factory.mktemp("broker"), QUEUES, HUBS) as running:
        yield running


@pytest.fixture
def admin(broker: BackEnd) -> Admin:
    return broker.hub_administration()


def clients(broker: BackEnd) -> Client:
    return broker.proton_of_hubs()


def test_a_hub_that_was_made_takes_events_and_gives_them_to_the_groups_that_were_made(
    broker: BackEnd, admin: Admin
) -> None:
    inner = "<MessageRetentionInDays>3</MessageRetentionInDays><UserMetadata>ours</UserMetadata>"
    status, made = admin.ask("PUT", "Made", hub(f"{inner}<PartitionCount>3</PartitionCount>"))
    assert status == 201
    assert fields(made, "PartitionCount", "MessageRetentionInDays", "UserMetadata", "Status") == [
        "3",
        "3",
        "ours",
        "Active",
    ]
    assert admin.ask("PUT", "made/ConsumerGroups/Audit", group("<UserMetadata>who</UserMetadata>"))[0] == 201
    assert admin.titles("made/consumergroups") == ["$Default", "Audit"]
    assert fields(admin.ask("GET", "MADE/consumergroups/AUDIT")[1], "UserMetadata") == ["who"]
    with clients(broker) as client:
        status_code, told = client.manage("made", "READ", name=broker.named("made"), type="com.microsoft:eventhub")
        assert (status_code, list(told["partition_ids"].elements)) == (200, ["0", "1", "2"])
        client.send("made/partitions/2", Message(body=b"e", inferred=True))
        assert bytes(client.receiver("made/consumergroups/audit/partitions/2").receive(timeout=5).body) == b"e"


def test_defaults_are_azures_and_a_change_keeps_what_it_does_not_name(admin: Admin) -> None:
    status, made = admin.ask("PUT", "plain", hub())
    assert (status, fields(made, "PartitionCount", "MessageRetentionInDays")) == (201, ["16", "7"])
    changed = admin.ask("PUT", "Plain", hub("<MessageRetentionInDays>1</MessageRetentionInDays>"), update=True)
    assert (changed[0], fields(changed[1], "PartitionCount", "MessageRetentionInDays")) == (200, ["16", "1"])
    assert fields(admin.ask("GET", "plain")[1], "MessageRetentionInDays") == ["1"]
    assert {"Readings", "plain"} <= set(admin.titles("$Resources/EventHubs"))
    assert "plain" not in admin.titles("$Resources/queues")


@pytest.mark.parametrize(
    ("method", "path", "description", "status"),
    [
        ("PUT", "readings", hub("<PartitionCount>4</PartitionCount>"), 409),
        pytest.param("PUT", "orders", hub(), 409, marks=pytest.mark.own_broker("queues are elsewhere")),
        ("PUT", "new", hub("<PartitionCount>0</PartitionCount>"), 400),
        ("PUT", "new", hub("<PartitionCount>33</PartitionCount>"), 400),
        ("PUT", "new", hub("<MessageRetentionInDays>8</MessageRetentionInDays>"), 400),
        ("PUT", "new", hub(f"<MessageRetentionInDays>{'9' * 5000}</MessageRetentionInDays>"), 400),
        ("PUT", "new", queue("MaxDeliveryCount", "9" * 5000), 400),
        ("PUT", "new", queue("MaxSizeInMegabytes", "9" * 5000), 400),
        ("PUT", "new", hub("<Status>Disabled</Status>"), 400),
        ("PUT", "new", hub("<CaptureDescription><Enabled>true</Enabled></CaptureDescription>"), 400),
        ("PUT", "new/part", hub(), 400),
        pytest.param("PUT", "-new", hub(), 400, marks=pytest.mark.own_broker("its names begin with a prefix")),
        ("PUT", "new", group(), 400),
        ("PUT", "readings/consumergroups/x", hub(), 400),
        ("PUT", "readings/consumergroups/DIALS", group(), 409),
        ("PUT", "readings/consumergroups/a%20b", group(), 400),
        ("PUT", "nothing/consumergroups/x", group(), 404),
        ("GET", "readings/consumergroups/x", "", 404),
        ("GET", "readings/consumergroups/dials/partitions", "", 400),
        ("DELETE", "readings/consumergroups/$Default", "", 400),
        ("DELETE", "readings/consumergroups/x", "", 404),
        ("DELETE", "nothing", "", 404),
    ],
)
def test_what_is_refused(admin: Admin, method: str, path: str, description: str, status: int) -> None:
    assert admin.ask(method, path, description)[0] == status


def test_the_number_of_partitions_stays_and_a_wrong_key_changes_nothing(admin: Admin) -> None:
    assert admin.ask("PUT", "readings", hub("<PartitionCount>3</PartitionCount>"), update=True)[0] == 400
    assert admin.ask("PUT", "nothing", hub(), update=True)[0] == 404
    assert admin.ask("PUT", "secret", hub(), key="wrong")[0] == 401
    assert "secret" not in admin.titles("$Resources/eventhubs")


def test_what_is_deleted_ends_its_links(broker: BackEnd, admin: Admin) -> None:
    assert admin.ask("PUT", "gone", hub("<PartitionCount>1</PartitionCount>"))[0] == 201
    assert admin.ask("PUT", "gone/consumergroups/g", group())[0] == 201
    with clients(broker) as client:
        of_group = client.receiver("gone/consumergroups/g/partitions/0")
        of_default = client.receiver("gone/consumergroups/$default/partitions/0")
        assert admin.ask("DELETE", "gone/consumergroups/g")[0] == 200
        with pytest.raises(LinkDetached, match="deleted"):
            of_group.receive(timeout=5)
        assert admin.ask("DELETE", "GONE")[0] == 200
        with pytest.raises(LinkDetached, match="deleted"):
            of_default.receive(timeout=5)
        with pytest.raises(LinkDetached, match="could not be found"):
            client.send("gone", Message(body=b"e", inferred=True))
    assert admin.ask("PUT", "gone", hub())[0] == 201


@pytest.mark.slow
@pytest.mark.own_broker("kills it")
def test_what_was_made_is_there_after_a_kill_and_what_was_deleted_is_not(tmp_path: Path) -> None:
    keys = {"sasKeyName": KEY_NAME, "sasKey": KEY}
    config = {"eventHubs": HUBS, "stateDir": str(tmp_path / "state"), **keys}
    with running_broker(tmp_path, **config) as broker:
        admin = Admin(broker.administration(KEY), broker.ca_file)
        admin.ask("PUT", "Made", hub("<PartitionCount>3</PartitionCount><UserMetadata>ours</UserMetadata>"))
        admin.ask("PUT", "made/consumergroups/Audit", group())
        admin.ask("PUT", "readings/consumergroups/later", group())
        admin.ask("PUT", "deleted", hub())
        with Client(broker.amqp_port, KEY_NAME, KEY) as client:
            client.send("made/partitions/2", Message(body=b"kept", inferred=True))
            client.send("deleted/partitions/2", Message(body=b"lost", inferred=True))
        assert admin.ask("DELETE", "deleted")[0] == 200
        broker.kill()
    with running_broker(tmp_path, **config) as broker:
        admin = Admin(broker.administration(KEY), broker.ca_file)
        assert admin.titles("$Resources/eventhubs") == ["Made", "Readings"]
        assert fields(admin.ask("GET", "made")[1], "PartitionCount", "UserMetadata") == ["3", "ours"]
        assert admin.titles("made/consumergroups") == ["$Default", "Audit"]
        assert admin.titles("readings/consumergroups") == ["$Default", "dials", "later"]
        with Client(broker.amqp_port, KEY_NAME, KEY) as client:
            kept = client.receiver("made/consumergroups/audit/partitions/2").receive(timeout=5)
            assert bytes(kept.body) == b"kept"
        assert admin.ask("PUT", "deleted", hub("<PartitionCount>3</PartitionCount>"))[0] == 201
        with Client(broker.amqp_port, KEY_NAME, KEY) as client:
            _, told = client.manage("deleted", "READ", name="deleted", type="com.microsoft:partition", partition="2")
            assert told["is_partition_empty"] is True
