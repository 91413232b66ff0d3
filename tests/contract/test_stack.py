"""The embedded stack: what it offers, what it keeps, and how it fails."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from azure.data.tables import TableServiceClient
from azure.eventhub import EventHubConsumerClient
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.management import ServiceBusAdministrationClient
from azure.storage.blob import BlobServiceClient
from typer.testing import CliRunner

from mosaic_local import cli, state
from mosaic_local.embedded import ENVIRONMENT
from mosaic_local.errors import NotRunningError, PartError, StackError
from mosaic_local.seed import SAMPLE
from mosaic_local.stack import CONSUMER_GROUP, TELEMETRY_HUB, Stack, StackOptions
from mosaic_local.state import read_stack

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
QUEUES = {"runtime-ingestion-completed", "runtime-agent-message-posted", "runtime-nightly-anomaly-sweep"}
TINY_APP = """
import azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
@app.route(route="hello", methods=["GET"])
def hello(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("hello")
"""


def write_app(folder: Path, source: str) -> Path:
    folder.mkdir()
    (folder / "function_app.py").write_text(source)
    (folder / "host.json").write_text('{"version": "2.0"}')
    return folder


def until(look: Callable[[], object], timeout: float = 20.0) -> None:
    deadline = time.monotonic() + timeout
    while not look():
        assert time.monotonic() < deadline, f"not so within {timeout} s"
        time.sleep(0.05)


def processes() -> dict[int, tuple[int, str]]:
    """Parent and state of every process, by id."""
    with subprocess.Popen(["ps", "-eo", "pid=,ppid=,stat="], stdout=subprocess.PIPE, text=True) as listing:
        assert listing.stdout is not None
        rows = [line.split() for line in listing.stdout]
    return {int(pid): (int(parent), status) for pid, parent, status in rows if int(pid) != listing.pid}


def alive(pids: dict[str, int]) -> set[str]:
    running = processes()
    return {name for name, pid in pids.items() if pid in running and not running[pid][1].startswith("Z")}


def children() -> set[int]:
    return {pid for pid, (parent, status) in processes().items() if parent == os.getpid() and "Z" not in status}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Broker, storage and issuer; no worker."""
    folder = tmp_path_factory.mktemp("stack") / "state"
    with Stack(StackOptions(state_dir=folder, with_worker=False)) as running:
        yield running


def test_the_queues_and_the_hub_of_the_contract_are_there(stack: Stack) -> None:
    described = stack.description()
    with ServiceBusAdministrationClient.from_connection_string(
        described["environment"]["ServiceBusAdministrationConnection"], connection_verify=str(stack.ca_file)
    ) as client:
        queues = {queue.name: queue for queue in client.list_queues()}
    assert set(queues) == QUEUES
    for queue in queues.values():
        assert queue.max_delivery_count == 10
        assert queue.lock_duration == timedelta(seconds=60)
    with EventHubConsumerClient.from_connection_string(
        stack.settings["EventHubsConnection"], CONSUMER_GROUP, eventhub_name=TELEMETRY_HUB
    ) as consumer:
        assert consumer.get_partition_ids()


def test_a_token_verifies_by_the_issuers_published_key(stack: Stack) -> None:
    token = stack.token("alice", "Mosaic.Operator.Read")
    key = jwt.PyJWKClient(stack.settings["Auth__JwksUri"]).get_signing_key_from_jwt(token)
    claims = jwt.decode(
        token,
        key.key,
        algorithms=["RS256"],
        audience=stack.settings["Auth__Audience"],
        issuer=stack.settings["Auth__Issuer"],
    )
    assert (claims["sub"], claims["roles"]) == ("alice", ["Mosaic.Operator.Read"])


def test_both_sample_households_are_seeded(stack: Stack) -> None:
    with TableServiceClient.from_connection_string(stack.settings["TablesConnection"]) as service:
        members = list(service.get_table_client("HouseholdMembers").list_entities())
        households = list(service.get_table_client("Households").list_entities())
    assert {(m["Subject"], m["HouseholdId"], m["HouseholdUserId"]) for m in members} == {
        (sample.subject, sample.household_id, sample.household_user_id) for sample in SAMPLE
    }
    assert {(h["HouseholdId"], h["Status"]) for h in households} == {(s.household_id, "Active") for s in SAMPLE}


def test_blob_storage_answers(stack: Stack) -> None:
    with BlobServiceClient.from_connection_string(stack.settings["BlobsConnection"]) as service:
        assert service.create_container("contract-test").exists()


def test_the_accounts_key_is_the_stacks_own(stack: Stack) -> None:
    assert "devstoreaccount1" not in json.dumps(stack.settings)


def test_the_app_is_told_which_commit_it_is(stack: Stack) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert stack.settings["MOSAIC_COMMIT"] == (head.stdout.strip() if head.returncode == 0 else "")


def test_env_and_token_find_the_running_stack(stack: Stack) -> None:
    runner, folder = CliRunner(), str(stack.state_dir)
    shown = json.loads(runner.invoke(cli.app, ["env", "--json", "--state", folder]).stdout)
    assert list(shown) == [*ENVIRONMENT, "Processes"]
    assert shown["StateDir"] == folder
    assert shown["Processes"] == stack.pids
    lines = dict(line.split("=", 1) for line in runner.invoke(cli.app, ["env", "--state", folder]).stdout.splitlines())
    assert set(lines) == {*ENVIRONMENT} | {f"Processes__{name}" for name in stack.pids}
    local = json.loads(runner.invoke(cli.app, ["env", "--local-settings", "--state", folder]).stdout)
    assert local["Values"]["FUNCTIONS_WORKER_RUNTIME"] == "python"
    assert local["Values"]["ServiceBusConnection"] == shown["ServiceBusConnection"]
    minted = runner.invoke(cli.app, ["token", "--user", "bob", "--role", "A", "--role", "B", "--state", folder]).stdout
    assert minted.count("\n") == 1
    claims = jwt.decode(minted.strip(), options={"verify_signature": False})
    assert (claims["sub"], claims["roles"], claims["iss"]) == ("bob", ["A", "B"], shown["Auth__Issuer"])


def test_env_without_a_running_stack_is_exit_3_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "POINTER", tmp_path / "running.json")
    for arguments in (["env"], ["token", "--user", "alice"], ["env", "--state", str(tmp_path)]):
        result = CliRunner().invoke(cli.app, arguments)
        assert result.exit_code == 3
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1


def test_a_folder_in_use_is_refused(stack: Stack) -> None:
    with pytest.raises(StackError, match="in use by another stack"):
        Stack(StackOptions(state_dir=stack.state_dir, with_worker=False)).start()
    assert alive(stack.pids) == set(stack.pids)


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PartError, match=rf"^worker: port {port} on 127\.0\.0\.1 is taken"):
            Stack(StackOptions(state_dir=tmp_path / "s", http_port=port)).start()


def test_a_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mosaic_local.azurite.WORK", tmp_path)
    with pytest.raises(PartError, match="azurite: is not installed; run"):
        Stack(StackOptions(state_dir=tmp_path / "s")).start()


@pytest.mark.parametrize(
    ("source", "settings", "said"),
    [
        ("import nothing_of_that_name", {}, "No module named 'nothing_of_that_name'"),
        pytest.param(TINY_APP + "raise RuntimeError('one line')", {}, "RuntimeError: one line", marks=pytest.mark.slow),
        (
            TINY_APP + '@app.queue_trigger(arg_name="m", queue_name="q", connection="c")\ndef q(m): pass\n',
            {},
            "function 'q': the trigger 'queueTrigger' is not imitated",
        ),
        pytest.param(
            TINY_APP
            + '@app.service_bus_queue_trigger(arg_name="m", queue_name="%NoSuch%", connection="TablesConnection")\n'
            "def q(m: func.ServiceBusMessage): pass\n",
            {},
            "function 'q': the app setting 'NoSuch' is not set",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_an_app_that_cannot_run_is_one_line_and_leaves_nobody_behind(
    tmp_path: Path, source: str, settings: dict[str, str], said: str
) -> None:
    stack = Stack(StackOptions(app=write_app(tmp_path / "app", source), state_dir=tmp_path / "s", with_seed=False))
    before = children()
    with pytest.raises(PartError) as refused:
        stack.start()
    assert refused.value.part == "worker"
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.log is not None
    assert refused.value.log.exists()
    until(lambda: children() <= before)


def test_what_is_stored_survives_a_restart(tmp_path: Path) -> None:
    options = StackOptions(state_dir=tmp_path / "s", with_worker=False)
    with Stack(options) as first:
        token, key = first.settings["TablesConnection"], (first.state_dir / "issuer" / "key.pem").read_text()
        with (
            ServiceBusClient.from_connection_string(first.settings["ServiceBusConnection"]) as client,
            client.get_queue_sender("runtime-ingestion-completed") as sender,
        ):
            sender.send_messages(ServiceBusMessage("kept", message_id="kept-1"))
        with TableServiceClient.from_connection_string(token) as service:
            service.create_table("Kept").create_entity({"PartitionKey": "p", "RowKey": "r", "Value": 7})
            service.get_table_client("Households").delete_entity(SAMPLE[1].household_id, "household")
    with Stack(options) as second:
        assert (second.state_dir / "issuer" / "key.pem").read_text() == key
        with (
            ServiceBusClient.from_connection_string(second.settings["ServiceBusConnection"]) as client,
            client.get_queue_receiver("runtime-ingestion-completed") as receiver,
        ):
            (message,) = receiver.peek_messages(10)
        assert (str(message), message.message_id) == ("kept", "kept-1")
        with TableServiceClient.from_connection_string(second.settings["TablesConnection"]) as service:
            assert service.get_table_client("Kept").get_entity("p", "r")["Value"] == 7
            # A state that is not empty is not seeded again.
            assert len(list(service.get_table_client("Households").list_entities())) == 1


@pytest.mark.parametrize("part", ["broker", "azurite"])
def test_a_part_that_ends_is_named_and_ends_the_stack(tmp_path: Path, part: str) -> None:
    with Stack(StackOptions(state_dir=tmp_path / "s", with_worker=False, with_seed=False)) as stack:
        os.kill(stack.pids[part], signal.SIGKILL)
        with pytest.raises(PartError, match=rf"^{part}: was ended by SIGKILL \([^)]*\) \(log: .*{part}\.log\)$"):
            stack.wait(10)
    with pytest.raises(NotRunningError, match=rf"with its {part}, whose process was ended by SIGKILL .*start it again"):
        read_stack(tmp_path / "s")


def test_a_worker_that_keeps_ending_is_given_up(tmp_path: Path) -> None:
    said: list[str] = []
    app = write_app(tmp_path / "app", TINY_APP)
    with Stack(StackOptions(app=app, state_dir=tmp_path / "s", with_seed=False, say=said.append)) as stack:
        stack._restarts.extend([time.monotonic()] * 4)
        stack.kill_worker()
        stack.wait_worker()
        assert re.match(r"worker: was ended by SIGKILL \([^)]*\); starting it again", said[0])
        stack.kill_worker()
        with pytest.raises(PartError, match=r"worker: was ended by SIGKILL \([^)]*\), 5 times within a minute"):
            stack.wait(10)


def test_no_part_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", TINY_APP)
    script = f"""
import json, threading
from pathlib import Path
from mosaic_local.stack import Stack, StackOptions
started = threading.Thread(target=lambda: stack.start())
stack = Stack(StackOptions(app=Path({str(app)!r}), state_dir=Path({str(tmp_path / "s")!r}), with_seed=False))
started.start()
started.join()  # the thread that started the parts is gone; they must not mind
print(json.dumps(stack.pids), flush=True)
stack.wait()
"""
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        pids = json.loads(supervisor.stdout.readline())
        assert alive(pids) == {"supervisor", "broker", "azurite", "worker"}
        supervisor.kill()
        supervisor.wait()
    until(lambda: not alive(pids))


async def test_the_stack_is_an_asynchronous_context_manager_too(tmp_path: Path) -> None:
    async with Stack(StackOptions(state_dir=tmp_path / "s", with_worker=False, with_seed=False)) as stack:
        pids = stack.pids
        assert {"broker", "azurite"} <= set(pids)
    assert not alive({name: pid for name, pid in pids.items() if name != "supervisor"})


def test_a_temporary_stack_leaves_nothing_on_disk() -> None:
    with Stack(StackOptions(with_worker=False, with_seed=False)) as stack:
        folder = stack.state_dir
        assert (folder / "stack.json").stat().st_mode & 0o077 == 0
    assert not folder.exists()
