"""The embedded host does what the platform does where a developer of function apps trips: one host, many cases."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from proton import Message

from mosaic_local.host.guard import left_in_hand
from mosaic_ops.groups import uv
from tests.support.amqp import KEY, KEY_NAME, Client
from tests.support.broker import RunningBroker, running_broker
from tests.support.host import APPS, ROOT, HostProcess, running_host, until

pytestmark = pytest.mark.e2e

QUEUES = ("texts", "undeclared", "binaries", "crashing")


class Seen:
    """What the app recorded."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.touch()

    def of(self, what: str) -> list[dict[str, Any]]:
        return [one for line in self.file.read_text().splitlines() if (one := json.loads(line))["what"] == what]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    queues = [{"name": name} for name in QUEUES]
    with running_broker(tmp_path_factory.mktemp("broker"), queues=queues, sasKeyName=KEY_NAME, sasKey=KEY) as running:
        yield running


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return Seen(tmp_path_factory.mktemp("traps") / "seen.jsonl")


@pytest.fixture(scope="module")
def settings(broker: RunningBroker, seen: Seen) -> dict[str, str]:
    return {
        "ServiceBusConnection": broker.connection(KEY),
        "TrapsSeen": str(seen.file),
        "AzureFunctionsJobHost__logging__logLevel__Function.quiet_thread": "Error",
    }


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def host(settings: dict[str, str], state: Path) -> Iterator[HostProcess]:
    with running_host(APPS / "traps", state, settings) as running:
        yield running


@pytest.fixture(scope="module")
def again(settings: dict[str, str], state: Path) -> Iterator[HostProcess]:
    """The next one with the same state, for when `host` has crashed."""
    with running_host(APPS / "traps", state, settings) as running:
        yield running


def send(broker: RunningBroker, queue: str, body: bytes, message_id: str = "m") -> None:
    with Client(broker.amqp_port, KEY_NAME, KEY) as client:
        client.send(queue, Message(body=body, inferred=True, id=message_id))


def echoed(host: HostProcess, path: str, **request: Any) -> dict[str, Any]:
    status, body = host.ask(path, **request)
    assert status == 200
    found: dict[str, Any] = json.loads(body)
    return found


# -- HTTP ------------------------------------------------------------------------------------------------------------


def test_a_function_with_an_empty_route_is_asked_by_its_name(host: HostProcess) -> None:
    assert host.ask("/api/nameless") == (200, b"nameless")
    assert host.ask("/api") == (404, b"")


def test_the_root_answers_where_no_function_does(host: HostProcess) -> None:
    assert host.ask("/")[0] == 200
    assert host.ask("/index.html") == (404, b"")


@pytest.mark.parametrize("where", ["body", "header"])
def test_an_answer_that_cannot_be_sent_is_a_bare_500_and_the_log_names_the_function(
    host: HostProcess, where: str
) -> None:
    assert host.ask(f"/api/unsendable/{where}") == (500, b"")
    until(lambda: "unsendable" in host.told())


def test_the_number_of_threads_is_the_platform_s_where_the_app_does_not_say(host: HostProcess) -> None:
    assert host.ask("/api/threads") == (200, b"unset")


def test_the_first_function_by_name_gets_a_request_not_the_most_specific(host: HostProcess) -> None:
    assert host.ask("/api/order/of/names") == (200, b"catches")


def test_an_int_is_one_of_32_bits(host: HostProcess) -> None:
    assert echoed(host, "/api/echo/2147483647")["route"] == {"number": "2147483647"}
    assert host.ask("/api/echo/2147483648")[0] == 404


def test_empty_query_values_are_left_out_and_repeated_ones_joined(host: HostProcess) -> None:
    assert echoed(host, "/api/echo?a=1&A=2&a=&b=&c")["query"] == {"a": "1,2"}


def test_a_body_without_content_length_does_not_reach_the_function_and_the_log_says_so(host: HostProcess) -> None:
    chunks = iter([b"abc", b"def"])
    told = echoed(host, "/api/echo", method="POST", body=chunks, headers={"Transfer-Encoding": "chunked", "X-A": "1"})
    assert told["body"] == ""
    assert told["headers"] == {"x-a": "1"}
    until(lambda: "function echo: a request body of 6 bytes without Content-Length" in host.told())
    assert echoed(host, "/api/echo", method="POST", body=b"abc")["body"] == "abc"


# -- Service Bus -----------------------------------------------------------------------------------------------------


def test_a_str_parameter_is_given_text(host: HostProcess, broker: RunningBroker, seen: Seen) -> None:
    send(broker, "texts", "hi ä".encode())
    (record,) = until(lambda: seen.of("texts"))
    assert (record["kind"], record["body"]) == ("str", "hi ä")


def test_bytes_survive_only_where_the_binding_says_binary(host: HostProcess, broker: RunningBroker, seen: Seen) -> None:
    body = b"\xff\xfeab"
    for queue in ("binaries", "undeclared"):
        send(broker, queue, body, "some-bytes")
    (kept,) = until(lambda: seen.of("binaries"))
    (lost,) = until(lambda: seen.of("undeclared"))
    assert bytes.fromhex(kept["body"]) == body
    assert bytes.fromhex(lost["body"]).decode() == "\ufffd\ufffdab"
    assert "function undeclared: the body of message some-bytes is not UTF-8" in host.told()


def test_a_queue_that_is_not_there_is_said_at_start_and_keeps_nobody_from_starting(host: HostProcess) -> None:
    assert "function not_there does not listen: queue not-there is not reachable" in host.told()
    assert "There is no such queue" in host.told()
    functions = json.loads(host.ask("/admin/host/status")[1])["functions"]
    assert [functions[name]["listening"] for name in ("not_there", "texts")] == [False, True]


# -- logs ------------------------------------------------------------------------------------------------------------


def test_what_the_app_logs_at_info_is_on_the_console(host: HostProcess) -> None:
    assert host.ask("/api/loud")[0] == 200
    until(lambda: "INFO root: said by loud at info" in host.told())
    assert "INFO root: the app is imported" in host.told()
    assert "a debug line" not in host.told()


def test_an_auth_level_asks_for_no_key(host: HostProcess) -> None:
    assert host.ask("/api/locked") == host.ask("/api/locked?code=any") == (200, b"open")


def test_the_log_level_of_one_function_is_that_functions(host: HostProcess) -> None:
    assert host.ask("/api/quiet")[0] == host.ask("/api/quiet-thread")[0] == 200
    until(lambda: "said by quiet at error" in host.told())
    assert "said by quiet at warning" not in host.told()
    assert "said by quiet_thread at warning" not in host.told()


# -- timers ----------------------------------------------------------------------------------------------------------


def test_only_a_monitored_timer_is_told_its_status(host: HostProcess, seen: Seen) -> None:
    assert host.ask("/admin/functions/monitored", "POST")[0] == 202
    assert until(lambda: seen.of("unmonitored"))[0]["status"] == {}
    (monitored,) = until(lambda: seen.of("monitored"))
    assert sorted(monitored["status"]) == ["Last", "LastUpdated", "Next"]
    assert "T02:30:00" in monitored["status"]["Next"]


# -- ends: each takes a host, so these are the last -----------------------------------------------------------------


def crashed(how: str, host: HostProcess, broker: RunningBroker, seen: Seen) -> None:
    """A message's function crashes while somebody waits for another one, and is answered."""
    before = len(seen.of("slow"))
    with contextlib.closing(host.connect()) as waiting:
        waiting.request("GET", "/api/slow")
        until(lambda: len(seen.of("slow")) > before)
        send(broker, "crashing", how.encode(), f"crash-{how}")
        answer = waiting.getresponse()
        assert (answer.status, answer.read()) == (500, b"")
    host.process.wait(10)


def in_session(leader: int) -> list[int]:
    """The processes of a session that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
            if int(session) == leader and state != "Z":
                found.append(int(stat.parent.name))
    return found


def came_again(how: str, seen: Seen) -> None:
    """Locks last for a minute here."""
    until(lambda: [r for r in seen.of("crashing") if (r["messageId"], r["deliveryCount"]) == (f"crash-{how}", 2)])


def test_a_crash_answers_500_at_once_and_its_message_comes_again_without_waiting_for_its_lock(
    host: HostProcess, broker: RunningBroker, seen: Seen, request: pytest.FixtureRequest
) -> None:
    crashed("exit", host, broker, seen)
    assert host.process.returncode == 2
    until(lambda: not in_session(host.process.pid))  # the app had forked another, which has the host's sockets
    next_one: HostProcess = request.getfixturevalue("again")
    came_again("exit", seen)
    assert next_one.ask("/api/crash/survived") == (200, b"survived")


def test_an_apps_own_handler_of_sigterm_is_called_and_the_host_drains_all_the_same(
    again: HostProcess, seen: Seen
) -> None:
    answers: list[tuple[int, bytes]] = []
    before = len(seen.of("slow"))
    asking = threading.Thread(target=lambda: answers.append(again.ask("/api/slow?seconds=1")))
    asking.start()
    until(lambda: len(seen.of("slow")) > before)
    again.process.send_signal(signal.SIGTERM)
    assert again.process.wait(15) == 0
    asking.join(5)
    assert answers == [(200, b"slept")]
    assert seen.of("sigterm")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["sysexit", "stop", "segfault", "kill"])
def test_so_does_every_other_crash(
    how: str, settings: dict[str, str], broker: RunningBroker, seen: Seen, tmp_path: Path
) -> None:
    with running_host(APPS / "traps", tmp_path, settings) as host:
        crashed(how, host, broker, seen)
    with running_host(APPS / "traps", tmp_path, settings):
        came_again(how, seen)


@pytest.mark.slow
def test_an_app_that_ends_its_process_on_sigterm_loses_what_is_in_flight(
    settings: dict[str, str], seen: Seen, tmp_path: Path
) -> None:
    with running_host(APPS / "traps", tmp_path, settings | {"TrapsExitOnSigterm": "1"}) as host:
        before = len(seen.of("slow"))
        with contextlib.closing(host.connect()) as waiting:
            waiting.request("GET", "/api/slow")
            until(lambda: len(seen.of("slow")) > before)
            host.process.send_signal(signal.SIGTERM)
            assert waiting.getresponse().status == 500
        host.process.wait(10)


# -- HTTP streaming --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def streaming(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostProcess]:
    settings = {"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "1000000"}
    state = tmp_path_factory.mktemp("state")
    with running_host(APPS / "streaming", state, settings, cors="https://a.example") as running:
        yield running


def test_a_streamed_answer_comes_while_it_is_made(streaming: HostProcess) -> None:
    connection = streaming.connect()
    connection.request("GET", "/api/parts/3", headers={"Origin": "https://a.example"})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["X-Streamed"]) == (200, "yes")
    assert answer.headers["Access-Control-Allow-Origin"] == "https://a.example"
    assert answer.readline() == b"part 0\n"
    assert streaming.ask("/api/go", "POST") == (200, b"gone")  # before that nothing more is made
    assert answer.read() == b"part 1\npart 2\n"
    connection.close()
    counts = json.loads(streaming.ask("/admin/host/status")[1])["functions"]["parts"]
    assert (counts["started"], counts["succeeded"]) == (1, 1)


@pytest.mark.parametrize("chunked", [True, False])
def test_a_streamed_upload_reaches_the_function_with_or_without_its_length(
    streaming: HostProcess, chunked: bool
) -> None:
    body: Any = iter([b"x" * 1000] * 300) if chunked else b"x" * 300_000
    headers = {"Transfer-Encoding": "chunked"} if chunked else None
    status, told = streaming.ask("/api/upload?a=&b=2", "POST", body, headers)
    assert status == 200
    assert json.loads(told) == {
        "size": 300_000,
        "query": {"a": "", "b": "2"},
        "host": f"127.0.0.1:{streaming.port}",
        "route": {},
    }


def test_streaming_keeps_routes_errors_and_the_size_limit(streaming: HostProcess) -> None:
    assert streaming.ask("/api/parts/many")[0] == 404
    status, body = streaming.ask("/api/fails")
    assert status == 500
    assert b"secret" not in body
    with contextlib.suppress(ConnectionError):  # the host ends it before all is sent
        assert streaming.ask("/api/upload", "POST", b"x" * 1_000_001)[0] == 413
    counts = json.loads(streaming.ask("/admin/host/status")[1])["functions"]["upload"]
    assert counts["inFlight"] == 0


def test_a_streamed_answer_breaks_off_where_its_function_crashes(streaming: HostProcess) -> None:
    with contextlib.closing(streaming.connect()) as connection:
        connection.request("GET", "/api/crash/after")
        answer = connection.getresponse()
        assert answer.readline() == b"begun\n"
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            answer.read()
    assert streaming.process.wait(10) == 3


@pytest.mark.slow
def test_a_crash_before_a_streamed_answer_begins_is_a_500(tmp_path: Path) -> None:
    with running_host(APPS / "streaming", tmp_path, {}) as host:
        assert host.ask("/api/crash/before") == (500, b"")


@pytest.mark.slow
def test_microsofts_fastapi_extension_streams_both_ways(tmp_path: Path) -> None:
    app, packages = APPS / "fastapi", tmp_path / "packages"
    install = [uv(), "pip", "install", "--quiet", "--python", sys.executable, "--target", str(packages), "--no-deps"]
    subprocess.run([*install, "--require-hashes", "-r", str(app / "requirements.txt")], check=True, timeout=120)
    with running_host(app, tmp_path / "s", {}, packages) as host:
        assert host.ask("/api/parts/3") == (200, b"data: 0\n\ndata: 1\n\ndata: 2\n\n")
        chunks = iter([b"x" * 1000] * 300)
        status, told = host.ask("/api/upload?a=&b=2", "POST", chunks, {"Transfer-Encoding": "chunked"})
        assert (status, json.loads(told)) == (200, {"size": 300_000, "query": {"a": "", "b": "2"}})
        assert host.ask("/api/parts/many")[0] == 404
        # uvicorn takes SIGTERM for itself
        host.process.send_signal(signal.SIGTERM)
        assert host.process.wait(15) == 0


# -- the guard alone -------------------------------------------------------------------------------------------------

_GUARDED = """
import os, socket, sys, time
from pathlib import Path
from mosaic_local.host.guard import start
guard = start()
guard.writes_to(Path(sys.argv[1]))
connections = [socket.create_connection(("127.0.0.1", int(sys.argv[2]))) for _ in range(3)]
with guard.request(connections[0]):
    pass
with guard.request(connections[1]) as answering:
    answering.begins()
    with guard.request(connections[2]), guard.held("queue", "one"):
        with guard.held("queue", "two"), guard.held("a" * 500, "long"):
            pass
        three = guard.held("queue", "three")
        three.__enter__()
        if os.fork():  # the app's own child, which outlives it
            os._exit(9)
        time.sleep(float(sys.argv[3]))
        os._exit(0)
"""


def test_the_guard_answers_only_those_whose_answer_had_not_begun(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        command = [sys.executable, "-c", _GUARDED, str(tmp_path), str(server.getsockname()[1]), "3600"]
        crashed = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
        stack.callback(os.killpg, crashed.pid, signal.SIGKILL)
        answered, begun, waiting = (stack.enter_context(server.accept()[0]) for _ in range(3))
        assert crashed.wait(20) == 9
        waiting.settimeout(5)
        assert waiting.recv(100).startswith(b"HTTP/1.1 500")
        for connection in (answered, begun):
            with pytest.raises(BlockingIOError):
                connection.recv(1, socket.MSG_DONTWAIT)
        assert left_in_hand(tmp_path) == [("queue", "three"), ("queue", "one")]
        assert left_in_hand(tmp_path) == []
