"""Faults of the links of an event hub, as the real SDK's clients meet them."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.exceptions import EventHubError

from mosaic_local.broker.config import EventHubConfig
from mosaic_local.namespaces import Namespace
from mosaic_local.testing import Fault, Rule
from tests.support.broker import SDK_LEAVES_SOCKETS

pytest_plugins = ["mosaic_local.pytest_plugin"]
pytestmark = [
    SDK_LEAVES_SOCKETS,
    pytest.mark.own_broker("makes it fail"),
]
HUB = "Telemetry"
"""A rule names its entity whatever the case."""


@pytest.fixture
def namespace(open_namespace: Callable[..., Namespace]) -> Iterator[Namespace]:
    yield open_namespace(event_hubs=[EventHubConfig(name=HUB, partitions=1), EventHubConfig(name="other")])
    gc.collect()  # what the SDK left open is told here, and not of whatever runs next


def producer(namespace: Namespace, hub: str = HUB, **options: Any) -> EventHubProducerClient:
    options = {"retry_backoff_factor": 0.01, "retry_total": 3, **options}
    return EventHubProducerClient.from_connection_string(namespace.connection_string, eventhub_name=hub, **options)


def send(namespace: Namespace, *texts: str, **options: Any) -> None:
    with producer(namespace, **options) as client:
        client.send_batch([EventData(text) for text in texts])


def read(namespace: Namespace, until: str, seconds: float = 30) -> list[str]:
    """The one partition's events from its start, up to ``until``: by one client, which goes on after a fault."""
    texts: list[str] = []
    there = threading.Event()

    def seen(_: object, event: EventData | None) -> None:
        if event is not None:
            texts.append(event.body_as_str())
            if texts[-1] == until:
                there.set()

    client = EventHubConsumerClient.from_connection_string(
        namespace.connection_string, "$Default", eventhub_name=HUB, retry_backoff_factor=0.01, retry_backoff_max=0.1
    )
    receive = {"partition_id": "0", "starting_position": "-1"}
    thread = threading.Thread(target=client.receive, args=(seen,), kwargs=receive)
    thread.start()
    came = there.wait(seconds)
    with suppress(EventHubError):
        client.close()
    thread.join(15)
    assert came, texts
    return texts


def test_a_busy_namespace_is_the_client_s_own_error_and_nothing_is_sent(namespace: Namespace) -> None:
    with producer(namespace, retry_total=0) as client:
        client.send_batch([EventData("before")])  # asks for the hub's properties once
        namespace.control.fail(Rule(fault=Fault.BUSY, entity=HUB))  # for good: the SDK's link tries again by itself
        send(namespace, "elsewhere", hub="other", retry_total=0)
        with pytest.raises(EventHubError, match="throttled"):
            client.send_batch([EventData("refused")])
        assert namespace.control.struck()["busy"] >= 1
        namespace.control.fail()
        client.send_batch([EventData("after")])
    assert read(namespace, "after") == ["before", "after"]


def test_a_busy_namespace_tells_no_properties(namespace: Namespace) -> None:
    namespace.control.fail(Rule(fault=Fault.BUSY, entity=HUB, times=1))
    with producer(namespace, retry_total=0) as client:
        with pytest.raises(EventHubError):
            client.get_partition_properties("0")
        assert client.get_partition_properties("0")["is_empty"]


def test_a_duplicate_is_the_batch_once_more(namespace: Namespace) -> None:
    namespace.control.fail(Rule(fault=Fault.DUPLICATE, entity=HUB, times=1))
    send(namespace, "one", "two")
    send(namespace, "end")
    assert read(namespace, "end") == ["one", "two", "one", "two", "end"]


@pytest.mark.slow
def test_a_send_without_an_answer_is_sent_again(namespace: Namespace) -> None:
    namespace.control.fail(Rule(fault=Fault.SEND_UNANSWERED, entity=HUB, times=1))
    send(namespace, "one", "two")
    send(namespace, "end")
    assert namespace.control.struck() == {"send_unanswered": 1}
    assert read(namespace, "end") == ["one", "two", "one", "two", "end"]


@pytest.mark.parametrize("fault", [Fault.CUT, pytest.param(Fault.HALF_CLOSED, marks=pytest.mark.slow)])
def test_a_consumer_goes_on_where_its_connection_was_cut(namespace: Namespace, fault: Fault) -> None:
    texts = [str(number) for number in range(20)]
    send(namespace, *texts, "end")
    namespace.control.fail(Rule(fault=fault, entity=HUB, times=2))
    assert read(namespace, "end") == [*texts, "end"]
    assert namespace.control.struck() == {fault: 2}


@pytest.mark.slow
def test_a_silent_connection_gives_nothing_and_the_next_one_does(namespace: Namespace) -> None:
    send(namespace, "one", "end")
    namespace.control.fail(Rule(fault=Fault.SILENT, entity=HUB, times=1))
    with pytest.raises(AssertionError):
        read(namespace, "end", seconds=3)
    assert namespace.control.struck() == {"silent": 1}
    assert read(namespace, "end") == ["one", "end"]
