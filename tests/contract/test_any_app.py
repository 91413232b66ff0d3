"""The embedded stack for others: namespaces for tests, and a function app that is not the product's."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.exceptions import ServiceBusAuthenticationError
from azure.servicebus.management import ServiceBusAdministrationClient

from mosaic_local.embedded import EmbeddedStack
from mosaic_local.errors import DeclarationError, PartError, StackError
from mosaic_local.namespaces import Namespace, Namespaces

pytest_plugins = ["mosaic_local.pytest_plugin"]
ROOT = Path(__file__).resolve().parents[2]
ORDERS = ROOT / "tests" / "support" / "apps" / "orders"
EMULATED = "Endpoint=sb://localhost;SharedAccessKeyName=Root;SharedAccessKey=any;UseDevelopmentEmulator=true;"


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The app's folder with its local.settings.json, which no repository keeps."""
    folder = tmp_path_factory.mktemp("app") / "orders"
    shutil.copytree(ORDERS, folder)
    values = {"FUNCTIONS_WORKER_RUNTIME": "python", "Bus": EMULATED, "OrdersQueue": "orders", "Shop": "corner"}
    settings = {"IsEncrypted": False, "Values": values, "Host": {"CORS": "https://shop.example"}}
    (folder / "local.settings.json").write_text(json.dumps(settings))
    return folder


def send(connection: str, queue: str, text: str) -> None:
    client = ServiceBusClient.from_connection_string(connection, retry_total=0)
    with client, client.get_queue_sender(queue) as sender:
        sender.send_messages(ServiceBusMessage(text))


def received(connection: str, queue: str) -> list[str]:
    with (
        ServiceBusClient.from_connection_string(connection) as client,
        client.get_queue_receiver(queue, receive_mode="receiveanddelete") as receiver,
    ):
        return [str(message) for message in receiver.receive_messages(10, max_wait_time=1)]


def processor_seconds(process: int) -> float:
    """That it has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_namespaces_of_one_process_know_nothing_of_each_other(open_namespace: Callable[..., Namespace]) -> None:
    one, two = open_namespace(queues=["orders"]), open_namespace(queues=["orders"])
    send(one.connection_string, "orders", "of the first")
    send(two.connection_string, "orders", "of the second")
    assert received(one.connection_string, "orders") == ["of the first"]
    assert received(two.connection_string, "orders") == ["of the second"]
    one.close()
    send(two.connection_string, "orders", "still there")
    assert received(two.connection_string, "orders") == ["still there"]


def test_a_namespace_has_its_own_administration(open_namespace: Callable[..., Namespace]) -> None:
    namespace = open_namespace()
    with ServiceBusAdministrationClient.from_connection_string(
        namespace.administration_connection_string, connection_verify=str(namespace.ca_file)
    ) as client:
        client.create_queue("made")
    send(namespace.connection_string, "made", "one")
    other = open_namespace()
    with pytest.raises(ServiceBusAuthenticationError):
        send(other.connection_string, "made", "one")


def test_what_cannot_be_declared_is_told_and_the_process_goes_on(embedded_broker: Namespaces) -> None:
    with pytest.raises(DeclarationError, match="no namespace"):
        embedded_broker.open(queues=["no name"])
    with embedded_broker.open(queues=["fine"]) as namespace:
        send(namespace.connection_string, "fine", "x")
        assert received(namespace.connection_string, "fine") == ["x"]


def test_a_broker_that_was_killed_is_an_error_at_once() -> None:
    with Namespaces() as broker:
        broker.open(queues=["a"])
        broker._part.kill()
        with pytest.raises(PartError, match="is gone"):
            broker.open(queues=["b"])


@pytest.fixture(scope="module")
def shop(run_app: Callable[..., EmbeddedStack], orders: Path) -> EmbeddedStack:
    return run_app(orders, queues=["orders"], storage=False, testing=True)


def asked(stack: EmbeddedStack, what: str) -> list[str]:
    with urllib.request.urlopen(f"{stack.api_base_url}/api/{what}", timeout=20) as answer:
        return str(answer.read().decode()).splitlines()


def test_a_strangers_app_runs_with_its_own_settings_and_queue(shop: EmbeddedStack) -> None:
    if sys.platform.startswith("linux"):
        # 1.0 s, of which two cores share; wall clock would tell what else the machine does.
        used = {name: processor_seconds(process) for name, process in shop.pids.items() if name != "supervisor"}
        assert sum(used.values()) < 2, used
    send(shop.settings["Bus"], "orders", "bread")
    shop.control.advance(timedelta())  # returns when the queue is empty
    request = urllib.request.Request(f"{shop.api_base_url}/api/orders", headers={"Origin": "https://shop.example"})
    with closing(urllib.request.urlopen(request)) as answer:
        assert answer.read().decode() == "bread"
        assert (answer.headers["Shop"], answer.headers["Access-Control-Allow-Origin"]) == (
            "corner",
            "https://shop.example",
        )
    assert "azurite" not in shop.pids


def test_an_app_may_fork_processes_and_end_them(shop: EmbeddedStack) -> None:
    worker = shop.pids["worker"]
    assert asked(shop, "lengths") == ["3", "5"]  # the pool is ended by SIGTERM, which must not stop the host
    with urllib.request.urlopen(f"{shop.api_base_url}/admin/host/status") as answer:
        assert json.load(answer)["state"] == "Running"
    assert shop.pids["worker"] == worker


def test_thirty_days_of_backoff_and_of_nights_go_by(shop: EmbeddedStack) -> None:
    began, control, before = time.monotonic(), shop.control, len(asked(shop, "days"))
    start = control.now()
    until = (start + timedelta(days=30)).isoformat()
    send(shop.settings["Bus"], "orders", json.dumps({"name": "cheese", "minutes": 1, "until": until}))
    control.advance(timedelta(days=30), every=["close_the_day"])

    tries = [datetime.fromisoformat(line.split()[1]) for line in asked(shop, "orders") if line.startswith("cheese")]
    waits = [(later - earlier).total_seconds() / 60 for earlier, later in itertools.pairwise(tries)]
    assert [round(wait) for wait in waits] == [2**n for n in range(15)]  # 22 days in all
    nights = [datetime.fromisoformat(line) for line in asked(shop, "days")[before:]]
    assert [night.strftime("%H:%M:%S") for night in nights] == ["02:30:00"] * 30
    assert len({night.date() for night in nights}) == 30
    assert timedelta(days=30) <= control.now() - start < timedelta(days=30, minutes=1)
    assert time.monotonic() - began < 30  # some two seconds where the machine does nothing else


def test_time_waits_for_a_message_that_is_in_hand(shop: EmbeddedStack) -> None:
    until = (shop.control.now() + timedelta(minutes=2)).isoformat()
    order = {"name": "butter", "seconds": 0.5, "minutes": 1, "until": until}
    send(shop.settings["Bus"], "orders", json.dumps(order))
    shop.control.advance(timedelta(days=1))  # a minute on, the order comes again
    assert len([line for line in asked(shop, "orders") if line.startswith("butter")]) == 2


def test_a_host_whose_time_is_behind_is_told(shop: EmbeddedStack) -> None:
    shop.control.broker.advance(timedelta(days=2))
    try:
        with pytest.raises(StackError, match=r"close_the_day: .*the host's time is behind"):
            shop.control.advance(timedelta(days=1), every=["close_the_day"])
    finally:
        shop.restart_worker()
    shop.control.advance(timedelta(days=1), every=["close_the_day"])


def test_a_jump_is_a_sleep(shop: EmbeddedStack) -> None:
    control, before = shop.control, len(asked(shop, "days"))
    control.jump(timedelta(days=10))
    assert len(asked(shop, "days")) == before + 1  # one run for ten nights


def test_time_goes_forward_only_for_all_parts_or_for_none(shop: EmbeddedStack) -> None:
    control = shop.control
    with pytest.raises(StackError, match="no timer that listens: closing"):
        control.advance(timedelta(days=1), every=["closing"])
    ahead = control.broker.ahead()
    for move in (control.jump, control.advance):
        with pytest.raises(StackError, match="forward"):
            move(timedelta(days=-1))
    with pytest.raises(StackError, match="3660 days"):
        control.jump(timedelta(days=4000))
    assert control.broker.ahead() == ahead


@pytest.mark.slow
def test_a_worker_that_comes_again_is_in_the_same_time(shop: EmbeddedStack) -> None:
    control = shop.control
    control.jump(timedelta(days=3))
    shop.restart_worker()
    control.advance(timedelta(days=1), every=["close_the_day"])
    (night,) = asked(shop, "days")
    assert timedelta() <= control.now() - datetime.fromisoformat(night) < timedelta(days=1)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_package_by_itself_runs_a_strangers_app(tmp_path: Path, orders: Path) -> None:
    """In an environment of its own, from the package index: nothing of the product is there."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    python = tmp_path / "env" / "bin" / "python"
    install = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        str(ROOT / "mosaic_local"),
        "pytest",
    ]
    subprocess.run(install, check=True, capture_output=True)
    (tmp_path / "test_orders.py").write_text(
        "import urllib.request\n"
        "from pathlib import Path\n"
        "import pytest\n"
        "from azure.servicebus import ServiceBusClient, ServiceBusMessage\n"
        "def test_it(run_app, open_namespace):\n"
        "    with pytest.raises(ImportError):\n"
        "        import mosaic_core\n"
        f"    stack = run_app(Path({str(orders)!r}), queues=['orders'], storage=False)\n"
        "    assert urllib.request.urlopen(stack.api_base_url + '/api/orders').status == 200\n"
        "    namespace = open_namespace(queues=['a'])\n"
        "    with ServiceBusClient.from_connection_string(namespace.connection_string) as client:\n"
        "        with client.get_queue_sender('a') as sender:\n"
        "            sender.send_messages(ServiceBusMessage('x'))\n"
    )
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run(
        [python, "-m", "pytest", "-q", "test_orders.py"], cwd=tmp_path, env=clean, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = subprocess.run(
        [python, "-m", "mosaic_local", "env"], cwd=tmp_path, env=clean, capture_output=True, text=True
    )
    assert told.returncode == 3
    assert "python -m mosaic_local up" in told.stderr


def test_the_package_brings_the_library_versions_of_the_checkout() -> None:
    pinned = dict(
        line.split(" ")[0].split("==")
        for line in (ROOT / "requirements-local.txt").read_text().splitlines()
        if "==" in line
    )
    project = tomllib.loads((ROOT / "mosaic_local" / "pyproject.toml").read_text())["project"]
    exact = dict(each.split("==") for each in project["dependencies"] if "==" in each)
    assert exact == {name: pinned[name] for name in exact}
    assert set(exact) == {"azure-functions-runtime", "python-qpid-proton-wheel"}


def test_the_package_has_each_file_that_its_modules_read() -> None:
    project = tomllib.loads((ROOT / "mosaic_local" / "pyproject.toml").read_text())
    packed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["include"]
    files = {path.name for path in (ROOT / "mosaic_local").iterdir() if path.suffix == ".cjs"}
    assert files
    assert "*.cjs" in packed
