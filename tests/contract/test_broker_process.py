"""The broker as a process: start, stop, kill and restart, bad neighbours."""

from __future__ import annotations

import socket
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.eventhub import EventData, EventHubProducerClient
from azure.servicebus import (
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusMessageState,
    ServiceBusSubQueue,
)
from azure.servicebus.management import EntityStatus, ServiceBusAdministrationClient

from tests.support.broker import RunningBroker, launch, running_broker, write_config

pytestmark = pytest.mark.own_broker("starts, stops and kills it")

WAIT = 5.0
KEY = {"sasKeyName": "RootManageSharedAccessKey", "sasKey": "secret-for-tests"}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    with running_broker(
        tmp_path_factory.mktemp("broker"), queues=[{"name": "Orders", "lockSeconds": 30}], **KEY
    ) as running:
        yield running


def administration(broker: RunningBroker, key: str = KEY["sasKey"]) -> ServiceBusAdministrationClient:
    return ServiceBusAdministrationClient.from_connection_string(
        broker.administration(key), connection_verify=str(broker.ca_file), retry_total=0
    )


def clients(broker: RunningBroker, key: str = KEY["sasKey"]) -> ServiceBusClient:
    return ServiceBusClient.from_connection_string(broker.connection(key), retry_total=0)


# -- start -----------------------------------------------------------------------------------------------------------


def refused(config: Path) -> str:
    process = launch(config)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 3
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    return err


@pytest.mark.parametrize("setting", ["amqpPort", "adminPort"])
def test_a_taken_port_is_one_line_that_names_it(tmp_path: Path, broker: RunningBroker, setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        folder = broker.ca_file.parent
        line = refused(
            write_config(
                tmp_path,
                certFile=str(folder / "cert.pem"),
                keyFile=str(folder / "key.pem"),
                **{setting: port},
            )
        )
    assert str(port) in line
    assert setting in line


def test_a_bad_config_is_one_line_that_names_the_fault(tmp_path: Path) -> None:
    assert "amqpPort" in refused(write_config(tmp_path, amqpPort=70000))


def test_a_missing_config_is_one_line(tmp_path: Path) -> None:
    assert "nowhere.json" in refused(tmp_path / "nowhere.json")


def test_state_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "broker.sqlite3") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    assert "version 99" in refused(write_config(tmp_path, stateDir=str(tmp_path)))


def test_a_state_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broker.sqlite3").write_text("not a database, " * 100)
    assert "not a broker's database" in refused(write_config(tmp_path, stateDir=str(tmp_path)))


# -- state -----------------------------------------------------------------------------------------------------------


def test_everything_survives_kill_9(tmp_path: Path) -> None:
    config: dict[str, Any] = {
        "stateDir": str(tmp_path / "state"),
        "queues": [{"name": "q"}],
        "eventHubs": [{"name": "h", "partitions": 2}],
    }
    with running_broker(tmp_path, **config) as broker:
        assert "in use by another broker" in refused(write_config(tmp_path, **config))
        with (
            clients(broker) as client,
            client.get_queue_sender("q") as sender,
            client.get_queue_receiver("q") as receiver,
        ):
            sender.send_messages([ServiceBusMessage(name) for name in ("locked", "deferred", "dead", "counted")])
            got: dict[str, Any] = {}
            while len(got) < 4:
                got |= {str(one): one for one in receiver.receive_messages(max_message_count=4, max_wait_time=WAIT)}
            receiver.defer_message(got["deferred"])
            receiver.dead_letter_message(got["dead"], reason="r", error_description="d")
            receiver.abandon_message(got["counted"])
            (far,) = sender.schedule_messages(ServiceBusMessage("far"), datetime.now(UTC) + timedelta(hours=1))
            sender.send_messages([ServiceBusMessage("done")])
            while str(done := receiver.receive_messages(max_wait_time=WAIT)[0]) != "done":
                pass  # "counted" is back as well, and stays locked
            receiver.complete_message(done)
            sender.schedule_messages(ServiceBusMessage("soon"), datetime.now(UTC) + timedelta(seconds=0.2))
        with EventHubProducerClient.from_connection_string(broker.connection(), eventhub_name="h") as producer:
            producer.send_batch([EventData(f"e{number}") for number in range(5)], partition_id="1")
        with administration(broker) as admin:
            admin.create_queue("made-here", max_delivery_count=3)
            admin.update_queue(admin.get_queue("made-here"), status=EntityStatus.SEND_DISABLED)
        broker.kill()
    with running_broker(tmp_path, **config) as broker:
        with clients(broker) as client, client.get_queue_receiver("q") as receiver:
            peeked = {str(one): one for one in receiver.peek_messages(max_message_count=10, sequence_number=1)}
            assert set(peeked) == {"locked", "deferred", "counted", "far", "soon"}
            assert peeked["deferred"].state == ServiceBusMessageState.DEFERRED
            assert peeked["far"].state == ServiceBusMessageState.SCHEDULED
            assert peeked["far"].sequence_number == far
            back: dict[str, Any] = {}
            while len(back) < 3:
                back |= {str(one): one for one in receiver.receive_messages(max_message_count=3, max_wait_time=WAIT)}
            assert {name: one.delivery_count for name, one in back.items()} == {"locked": 0, "counted": 1, "soon": 0}
            assert back["soon"].sequence_number > max(far, done.sequence_number or 0)
            assert back["locked"].sequence_number == got["locked"].sequence_number
            (deferred,) = receiver.receive_deferred_messages([got["deferred"].sequence_number])
            assert deferred.delivery_count == 1
            with client.get_queue_receiver("q", sub_queue=ServiceBusSubQueue.DEAD_LETTER) as dead:
                (one,) = dead.receive_messages(max_wait_time=WAIT)
                assert (str(one), one.dead_letter_reason, one.dead_letter_error_description) == ("dead", "r", "d")
        with EventHubProducerClient.from_connection_string(broker.connection(), eventhub_name="h") as producer:
            assert producer.get_partition_properties("1")["last_enqueued_sequence_number"] == 4
            assert producer.get_partition_properties("0")["is_empty"] is True
        with administration(broker) as admin:
            assert admin.get_queue("made-here").max_delivery_count == 3
            assert admin.get_queue("made-here").status == EntityStatus.SEND_DISABLED
        started = time.monotonic()
        assert broker.stop() == 0
        assert time.monotonic() - started < 2


# -- bad neighbours --------------------------------------------------------------------------------------------------


def test_bad_bytes_cost_only_the_connection_they_came_on(broker: RunningBroker) -> None:
    header = b"AMQP\x00\x01\x00\x00"
    transfer_on_nothing = bytes.fromhex("00000018020000000053 14c00b0543 43a00101434242".replace(" ", ""))
    for junk in (
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x00" * 64,
        b"\xff" * 70_000,
        header + b"\x00\x00\x00\x0c\x02\x00\x00\x00\x00\x53\x14\xc0",
        header + transfer_on_nothing,
        header + b"\xff\xff\xff\xff\x02\x00\x00\x00" + b"x" * 100,
        header + b"\x00\x00\x00\x09\x02\x00\x00\x00\x00",
        header,
    ):
        with socket.create_connection(("127.0.0.1", broker.amqp_port), timeout=5) as bad:
            bad.sendall(junk)
            bad.shutdown(socket.SHUT_WR)
            try:
                while bad.recv(4096):
                    pass
            except ConnectionResetError:
                pass
    with clients(broker) as client, client.get_queue_sender("orders") as sender:
        sender.send_messages(ServiceBusMessage("still there"))
    assert broker.process.poll() is None
