"""The embedded host over the real broker, worker library and SDK clients: what the platform promises an app."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceivedMessage, ServiceBusSubQueue
from proton import Message, char, decimal32
from proton.utils import LinkDetached

from mosaic_local.errors import StackError
from mosaic_local.hubs import declared
from mosaic_local.stack import Stack, StackOptions
from tests.support.amqp import Client
from tests.support.host import until

pytestmark = pytest.mark.e2e

APP = Path(__file__).resolve().parents[1] / "support" / "apps" / "echo"
LOCK_SECONDS = 3
MAX_DELIVERIES = 3
TINY = decimal32(5)
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"


class Echo:
    """The stack with the echo app, and what that app recorded."""

    def __init__(self, stack: Stack, seen: Path) -> None:
        self.stack, self.seen = stack, seen
        self.client = ServiceBusClient.from_connection_string(stack.settings["ServiceBusConnection"])
        self.sender = self.client.get_queue_sender("work")
        self._said: list[str] = []

    def close(self) -> None:
        self.sender.close()
        self.client.close()

    def send(self, what: str, **fields: Any) -> str:
        """Sends one message for the function `work`; returns its id, unique in the module."""
        message_id = f"{what}-{time.monotonic_ns()}"
        body = json.dumps({"do": what, **fields})
        self.sender.send_messages(
            ServiceBusMessage(
                body,
                message_id=message_id,
                correlation_id="corr",
                subject="subj",
                content_type="application/json",
                application_properties={"k": "v", "n": 7, "traceparent": TRACEPARENT},
            )
        )
        return message_id

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.seen.read_text().splitlines()]

    def deliveries(self, message_id: str) -> list[int]:
        return [r["deliveryCount"] for r in self.records() if r.get("messageId") == message_id]

    def dead_letter(self, message_id: str) -> ServiceBusReceivedMessage:
        with self.client.get_queue_receiver("work", sub_queue=ServiceBusSubQueue.DEAD_LETTER) as receiver:

            def find() -> ServiceBusReceivedMessage | None:
                return next((m for m in receiver.peek_messages(100) if m.message_id == message_id), None)

            return until(find)

    def is_gone(self, message_id: str) -> bool:
        with self.client.get_queue_receiver("work") as receiver:
            until(lambda: all(m.message_id != message_id for m in receiver.peek_messages(100)))
        return True

    def http(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any, bytes]:
        request = urllib.request.Request(self.stack.api_base_url + path, body, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.headers, refused.read()


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Echo]:
    seen = tmp_path_factory.mktemp("echo") / "seen.jsonl"
    seen.touch()
    options = StackOptions(
        app=APP,
        extra_queues=("work", "noop", "automatic"),
        event_hubs=(declared("readings:2:dials"),),
        app_settings={"WorkQueue": "work", "TickSchedule": "0 0 3 1 1 *", "EchoSeen": str(seen)},
        lock_seconds=LOCK_SECONDS,
        max_delivery_count=MAX_DELIVERIES,
        with_seed=False,
    )
    with Stack(options) as stack:
        harness = Echo(stack, seen)
        yield harness
        harness.close()


def test_a_classic_message_has_the_platforms_metadata(echo: Echo) -> None:
    message_id = echo.send("complete")
    (record,) = until(lambda: [r for r in echo.records() if r.get("messageId") == message_id])
    assert record["deliveryCount"] == 1
    assert record["sequenceNumber"] >= 1
    assert record["contentType"] == "application/json"
    assert record["correlationId"] == "corr"
    assert record["subject"] == record["label"] == "subj"
    assert record["properties"] == record["userProperties"] == {"k": "v", "n": 7, "traceparent": TRACEPARENT}
    assert len(record["lockToken"]) == 36
    assert "+" not in record["enqueuedTimeUtc"]  # naive, as on the platform
    assert echo.is_gone(message_id)


def test_a_function_dead_letters_with_reason_and_description(echo: Echo) -> None:
    message = echo.dead_letter(echo.send("deadletter"))
    assert message.dead_letter_reason == "invalid_json"
    assert message.dead_letter_error_description == "line 1"


@pytest.mark.parametrize("what", ["abandon", "raise"])
def test_an_abandoned_message_comes_again_until_the_broker_gives_up(echo: Echo, what: str) -> None:
    message_id = echo.send(what)
    assert echo.dead_letter(message_id).dead_letter_reason == "MaxDeliveryCountExceeded"
    assert echo.deliveries(message_id) == [1, 2, 3]


def test_without_auto_complete_an_unsettled_message_comes_again_when_its_lock_ends(echo: Echo) -> None:
    message_id = echo.send("nothing")
    until(lambda: len(echo.deliveries(message_id)) >= 2)
    assert echo.deliveries(message_id)[:2] == [1, 2]


def test_an_unknown_lock_token_is_refused(echo: Echo) -> None:
    message_id = echo.send("unknown")
    error = until(lambda: next((r for r in echo.records() if r.get("code") == "FAILED_PRECONDITION"), None))
    assert error["detail"].endswith("not found.")
    assert echo.is_gone(message_id)


def test_settling_twice_fails_as_the_broker_says(echo: Echo) -> None:
    echo.send("twice")
    until(lambda: next((r for r in echo.records() if r.get("code") == "UNKNOWN"), None))


def test_a_function_renews_its_lock(echo: Echo) -> None:
    message_id = echo.send("renew")
    until(lambda: any(r["what"] == "renewed" for r in echo.records()))
    assert echo.deliveries(message_id) == [1]


@pytest.mark.parametrize("what", ["slow", "block"])
def test_the_host_renews_the_lock_even_where_the_app_blocks_its_loop(echo: Echo, what: str) -> None:
    message_id = echo.send(what, seconds=LOCK_SECONDS + 1)
    until(lambda: any(r["what"] == f"{what}-done" for r in echo.records()))
    assert echo.is_gone(message_id)
    assert echo.deliveries(message_id) == [1]


def test_auto_complete_completes_on_success_and_abandons_on_failure(echo: Echo) -> None:
    with echo.client.get_queue_sender("automatic") as sender:
        sender.send_messages([ServiceBusMessage("fine"), ServiceBusMessage("fail")])
    with echo.client.get_queue_receiver("automatic", sub_queue=ServiceBusSubQueue.DEAD_LETTER) as receiver:
        (failed,) = until(lambda: receiver.peek_messages(10))
    assert str(failed) == "fail"
    with echo.client.get_queue_receiver("automatic") as receiver:
        assert until(lambda: not receiver.peek_messages(10))
    assert sorted(r["deliveryCount"] for r in echo.records() if r["what"] == "automatic") == [1, 1, 2, 3]


def test_http_hands_over_route_query_headers_body_and_trace(echo: Echo) -> None:
    status, headers, body = echo.http(
        "POST",
        "/API/v1/items/a%2Fb%20c/parts/9?x=1&x=2&y=%C3%BC",
        b"abc",
        {"x-test": "t", "traceparent": TRACEPARENT},
    )
    assert status == 202
    assert headers["Location"] == "/somewhere"
    assert headers["Content-Type"] == "application/json"
    answer = json.loads(body)
    assert answer["route"] == {"itemId": "a%2Fb c", "partId": "9"}
    assert answer["query"] == {"x": "1,2", "y": "ü"}
    assert (answer["method"], answer["header"], answer["size"]) == ("POST", "t", 3)
    assert answer["trace"] == TRACE_ID


def test_http_asks_the_first_function_by_name_whose_route_fits_and_keeps_every_cookie(echo: Echo) -> None:
    status, headers, body = echo.http("GET", "/api/v1/items/special/parts/7")
    assert (status, body) == (200, b"special")
    assert headers.get_all("Set-Cookie") == ["a=1; Path=/; HttpOnly; SameSite=Lax", "b=2; Secure"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/api/v1/items/1/parts/9"),
        ("HEAD", "/api/broken"),
        ("GET", "/api/v1/items/1/parts/x"),
        ("GET", "/v1/items/1/parts/9"),
        ("GET", "/api"),
    ],
)
def test_http_what_no_function_takes_is_a_bare_404(echo: Echo, method: str, path: str) -> None:
    status, _, body = echo.http(method, path)
    assert (status, body) == (404, b"")


def test_http_a_function_that_raises_is_a_500_that_says_nothing(echo: Echo) -> None:
    assert echo.http("GET", "/api/broken")[::2] == (500, b"")


def test_http_a_body_beyond_the_platforms_limit_is_a_413(echo: Echo) -> None:
    # The limit is checked while the body comes in, so the client may see the connection end before it has sent it all.
    try:
        status, _, _ = echo.http("POST", "/api/v1/items/1/parts/9", b"x" * (100 * 1024 * 1024 + 1))
    except (urllib.error.URLError, ConnectionError):
        return
    assert status == 413


def test_admin_lists_the_functions_and_tells_the_hosts_state(echo: Echo) -> None:
    listed = {f["name"]: f for f in json.loads(echo.http("GET", "/admin/functions")[2])}
    assert listed["tick"]["config"]["bindings"][0]["type"] == "timerTrigger"
    assert listed["item"]["invoke_url_template"].endswith("/api/v1/items/{itemId}/parts/{partId:int}")
    status = json.loads(echo.http("GET", "/admin/host/status")[2])
    assert status["state"] == "Running"
    assert status["functions"]["work"]["listening"] is True


def test_admin_runs_a_timer_by_hand(echo: Echo) -> None:
    before = sum(r["what"] == "tick" for r in echo.records())
    assert echo.http("POST", "/admin/functions/tick", b'{"input": ""}', {"Content-Type": "application/json"})[0] == 202
    until(lambda: sum(r["what"] == "tick" for r in echo.records()) == before + 1)
    assert echo.http("POST", "/admin/functions/nothing")[0] == 404
    assert echo.http("POST", "/admin/functions/item")[0] == 400
    assert echo.http("POST", "/admin/functions/tick", b"[]", {"Content-Type": "application/json"})[0] == 400


def test_spans_and_logs_stand_in_the_state_folder_with_their_fields(echo: Echo) -> None:
    message_id = echo.send("complete")
    folder = echo.stack.state_dir / "telemetry"

    def find(name: str, key: str, value: str) -> dict[str, Any] | None:
        lines = (json.loads(line) for line in (folder / name).read_text().splitlines())
        return next((line for line in lines if line.get(key) == value), None)

    log = until(lambda: find("logs.jsonl", "commandId", message_id))
    span = until(lambda: find("spans.jsonl", "spanId", str(log["spanId"])))
    assert log["message"] == "worked"
    assert span["service.name"] == "Echo.Worker"
    assert span["traceId"] == log["traceId"] == TRACE_ID
    assert span["parentSpanId"] == "b7ad6b7169203331"


def test_sigterm_lets_what_is_in_flight_end_and_reaches_the_app(echo: Echo) -> None:
    message_id = echo.send("slow", seconds=2)
    until(lambda: echo.deliveries(message_id))
    echo.stack.stop_worker()
    assert echo.is_gone(message_id)
    assert any(r["what"] == "sigterm" for r in echo.records())
    echo.stack.start_worker()
    assert echo.deliveries(message_id) == [1]


def test_a_killed_worker_is_started_again_and_its_message_comes_again(echo: Echo) -> None:
    message_id = echo.send("hang")
    until(lambda: echo.deliveries(message_id) == [1])
    before = echo.stack.pids["worker"]
    echo.stack.kill_worker()
    echo.stack.wait_worker()
    assert echo.stack.pids["worker"] != before
    until(lambda: echo.deliveries(message_id) == [1, 2])
    assert echo.is_gone(message_id)


@pytest.mark.slow
def test_a_worker_that_its_app_ends_is_started_again_whatever_its_exit_code(echo: Echo) -> None:
    """2 is the host's own word for a refusal, after which nothing is started again; here it is the app's."""
    before = echo.stack.pids["worker"]
    message_id = echo.send("crash")
    until(lambda: echo.deliveries(message_id) == [1, 2])
    assert echo.is_gone(message_id)
    assert echo.stack.pids["worker"] != before


def test_a_function_beyond_its_time_limit_ends_the_worker_which_is_started_again(echo: Echo) -> None:
    before = echo.stack.pids["worker"]
    message_id = echo.send("hang")  # functionTimeout is 5 s
    until(lambda: echo.deliveries(message_id) == [1, 2])
    assert echo.is_gone(message_id)
    assert echo.stack.pids["worker"] != before
    assert (
        "Timeout value of 0:00:05 exceeded by function 'Functions.work'"
        in (echo.stack.state_dir / "logs" / "worker.log").read_text()
    )


def test_a_timer_that_fell_due_while_nothing_ran_is_made_up_for_once(echo: Echo) -> None:
    echo.stack.stop_worker()
    status = echo.stack.state_dir / "timers" / "tick.json"
    saved = json.loads(status.read_text())
    status.write_text(json.dumps(saved | {"next": "2026-01-01T03:00:00+00:00"}))
    echo.stack.start_worker()
    until(lambda: any(r["what"] == "tick" and r["pastDue"] for r in echo.records()))
    until(lambda: json.loads(status.read_text())["next"] == saved["next"])
    echo.stack.restart_worker()
    assert sum(r["what"] == "tick" and r["pastDue"] for r in echo.records()) == 1


def test_a_disabled_function_does_not_listen(echo: Echo) -> None:
    echo.stack.restart_worker({"AzureWebJobs.work.Disabled": "true"})
    status = json.loads(echo.http("GET", "/admin/host/status")[2])
    assert status["functions"]["work"] | {"started": 0} == status["functions"]["work"]
    assert (status["functions"]["work"]["isDisabled"], status["functions"]["work"]["listening"]) == (True, False)
    message_id = echo.send("complete")
    echo.stack.restart_worker({"AzureWebJobs.work.Disabled": "false"})
    until(lambda: echo.deliveries(message_id))
    assert echo.is_gone(message_id)


# -- what other clients send -----------------------------------------------------------------------------------------


def qpid(echo: Echo) -> Client:
    told = dict(part.split("=", 1) for part in echo.stack.settings["ServiceBusConnection"].strip(";").split(";"))
    return Client(int(told["Endpoint"].rpartition(":")[2]), told["SharedAccessKeyName"], told["SharedAccessKey"])


def nested(depth: int) -> list[Any]:
    body: list[Any] = []
    for _ in range(depth):
        body = [body]
    return body


def test_a_text_as_jms_sends_it_reaches_the_function(echo: Echo) -> None:
    with qpid(echo) as client:
        client.send("work", Message(body=json.dumps({"do": "complete", "say": "ä€"}), id="as-text"))
    until(lambda: [r for r in echo.records() if r.get("messageId") == "as-text"])
    assert echo.is_gone("as-text")


def test_a_declared_event_hub_is_there_with_its_consumer_group(echo: Echo) -> None:
    with qpid(echo) as client:
        status, told = client.manage("readings", "READ", name="readings", type="com.microsoft:eventhub")
        assert (status, list(told["partition_ids"].elements)) == (200, ["0", "1"])
        client.receiver("readings/consumergroups/dials/partitions/1")
        with pytest.raises(LinkDetached, match="there is no such group"):
            client.receiver("readings/consumergroups/others/partitions/1")


def test_messages_that_no_function_can_be_given_stop_nobody(echo: Echo) -> None:
    """Bodies that fail their own invocation, and such as the client library cannot even decode; then a good one."""
    bodies: list[Any] = [{"a": 1}, [1, 2], 7]
    with qpid(echo) as client:
        client.send("work", *(Message(body=body, id=f"other-{n}") for n, body in enumerate(bodies)))
        client.send("work", Message(body=nested(200), id="nested"))
        client.send("work", *(Message(body=b"{}", inferred=True, properties={"d": bad}) for bad in (char("x"), TINY)))
    good = echo.send("complete")
    until(lambda: echo.deliveries(good), timeout=10)
    assert echo.http("GET", "/admin/host/ping")[0] == 200
    for number in range(len(bodies)):
        dead = echo.dead_letter(f"other-{number}")
        assert dead.dead_letter_reason == "MaxDeliveryCountExceeded"
        assert dead.delivery_count == MAX_DELIVERIES
    status = json.loads(echo.http("GET", "/admin/host/status")[2])
    assert status["functions"]["work"]["listening"] is True
    told = (echo.stack.state_dir / "logs" / "worker.log").read_text()
    assert "the message other-0 (sequence number" in told
    assert "queue work is not reachable" not in told


@pytest.mark.slow
def test_a_worker_that_stands_still_is_ended_and_started_again(tmp_path: Path) -> None:
    seen = tmp_path / "seen.jsonl"
    seen.touch()
    options = StackOptions(
        app=APP,
        extra_queues=("work", "noop", "automatic"),
        app_settings={"WorkQueue": "work", "TickSchedule": "0 0 3 1 1 *", "EchoSeen": str(seen)},
        max_delivery_count=2,
        with_seed=False,
        stall_seconds=2,
    )
    with Stack(options) as stack:
        echo = Echo(stack, seen)
        message_id = echo.send("block", seconds=3600)
        # Twice it blocks the loop for an hour; what it had in hand comes again at once, not when its lock ends.
        assert echo.dead_letter(message_id).delivery_count == 2
        stack.wait_worker()
        good = echo.send("complete")
        until(lambda: echo.deliveries(good))
        told = (stack.state_dir / "logs" / "worker.log").read_text()
        assert "The event loop of the worker has stood still for 2 s" in told
        assert "function_app.py" in told[told.index("stood still") :]  # where it stands
        echo.close()


def test_nobody_moves_time_or_makes_faults_in_a_stack_that_is_not_for_tests(echo: Echo) -> None:
    body = b'{"advanceSeconds": 60}'
    told = echo.http("PUT", "/admin/testing/clock", body, {"Content-Type": "application/json"})
    assert told[0] == 404, told
    control = echo.stack.control
    assert control.storage is not None
    with pytest.raises(StackError, match="storage refused"):
        control.storage.fail()
    with pytest.raises(StackError, match="the broker refused"):
        control.broker.fail()
    with pytest.raises(StackError, match="refused"):
        control.jump(timedelta(minutes=1))
