"""The embedded broker beside one that keeps nothing (`bench/discarding.py`), by the asynchronous Service Bus client.

The rates are the client's with either of them, in turns, so that what else the machine does touches both; their ratio
says how much of what the client could do the embedded broker lets it do. Processor time is that of the broker's
process.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient, ServiceBusSender

from bench.results import Row, at_least, at_most, typical

ROWS: Final = (
    "broker_send_ratio",
    "broker_receive_ratio",
    "broker_send",
    "broker_receive",
    "broker_send_cpu",
    "broker_receive_cpu",
    "broker_send_cpu_kept",
    "broker_receive_cpu_kept",
)
ROOT: Final = Path(__file__).resolve().parents[2]
MESSAGES: Final = 10_000
ROUNDS: Final = 3
BODY: Final = b"x" * 200
PREFETCH: Final = 500
QUEUE: Final = "measured"


async def measure(quick: bool) -> list[Row]:
    messages, rounds = (4000, 2) if quick else (MESSAGES, ROUNDS)
    async with AsyncExitStack() as stack:
        with tempfile.TemporaryDirectory(prefix="mosaic-bench-") as folder:
            kept = {"stateDir": str(Path(folder) / "state")}
            brokers = {
                "discarding": await stack.enter_async_context(_running("bench.discarding", None)),
                "embedded": await stack.enter_async_context(_running("mosaic_local.broker", _config(folder, "a", {}))),
                "kept": await stack.enter_async_context(_running("mosaic_local.broker", _config(folder, "b", kept))),
            }
            for broker in brokers.values():  # imports, links, the first pages of memory
                await broker.send(messages // 10)
                await broker.receive(messages // 10)
            sent: dict[str, list[Spent]] = {name: [] for name in brokers}
            received: dict[str, list[Spent]] = {name: [] for name in brokers}
            for _ in range(rounds):
                for name, broker in brokers.items():
                    sent[name].append(await broker.send(messages))
                for name, broker in brokers.items():
                    received[name].append(await broker.receive(messages))
            await stack.aclose()  # before its state's folder goes
    return [
        typical("broker_send_ratio", _ratios(sent), "ratio", at_least(0.8)),
        typical("broker_receive_ratio", _ratios(received), "ratio", at_least(0.7)),
        typical("broker_send", [it.rate for it in sent["embedded"]], "messages/s"),
        typical("broker_receive", [it.rate for it in received["embedded"]], "messages/s"),
        typical("broker_send_cpu", [it.cpu for it in sent["embedded"]], "µs/message", at_most(20)),
        typical("broker_receive_cpu", [it.cpu for it in received["embedded"]], "µs/message", at_most(100)),
        typical("broker_send_cpu_kept", [it.cpu for it in sent["kept"]], "µs/message", at_most(20)),
        typical("broker_receive_cpu_kept", [it.cpu for it in received["kept"]], "µs/message", at_most(100)),
    ]


@dataclass(frozen=True, slots=True)
class Spent:
    """``rate`` in messages a second, ``cpu`` in microseconds of the broker's processor time for each."""

    rate: float
    cpu: float


class _Broker:
    """A broker's process, and a client of it."""

    def __init__(self, process: psutil.Process, client: ServiceBusClient, sender: ServiceBusSender) -> None:
        self._process, self._client, self._sender = process, client, sender

    async def send(self, count: int) -> Spent:
        """In batches as large as they may be."""
        began, used = time.perf_counter(), self._used()
        left = count
        while left:
            batch = await self._sender.create_message_batch()
            try:
                while left:
                    batch.add_message(ServiceBusMessage(BODY))
                    left -= 1
            except ValueError:
                pass  # it is full
            await self._sender.send_messages(batch)
        return Spent(count / (time.perf_counter() - began), 1e6 * (self._used() - used) / count)

    async def receive(self, count: int) -> Spent:
        """And completes each: as many as were sent, so that nothing stays locked. Opening the link is not counted."""
        async with self._client.get_queue_receiver(QUEUE, prefetch_count=PREFETCH) as receiver:
            began, used = time.perf_counter(), self._used()
            left = count
            while left:
                found = await receiver.receive_messages(max_message_count=min(left, PREFETCH), max_wait_time=10)
                if not found:
                    raise RuntimeError(f"the broker owes {left} messages")
                await asyncio.gather(*(receiver.complete_message(one) for one in found))
                left -= len(found)
            return Spent(count / (time.perf_counter() - began), 1e6 * (self._used() - used) / count)

    def _used(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)


def _ratios(spent: dict[str, list[Spent]]) -> list[float]:
    return [it.rate / most.rate for it, most in zip(spent["embedded"], spent["discarding"], strict=True)]


def _config(folder: str, name: str, options: dict[str, str]) -> Path:
    file = Path(folder) / f"{name}.json"
    file.write_text(json.dumps({"queues": [{"name": QUEUE}], **options}), "utf-8")
    return file


@asynccontextmanager
async def _running(module: str, config: Path | None) -> AsyncIterator[_Broker]:
    arguments = [] if config is None else ["--config", str(config)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        line = await process.stdout.readline()
        if not line:
            raise RuntimeError(f"{module} did not start")
        port = json.loads(line)["amqpPort"]
        client = ServiceBusClient.from_connection_string(
            f"Endpoint=sb://localhost:{port};SharedAccessKeyName=n;SharedAccessKey=k;UseDevelopmentEmulator=true;"
        )
        async with client, client.get_queue_sender(QUEUE) as sender:
            yield _Broker(psutil.Process(process.pid), client, sender)
    finally:
        process.terminate()
        await process.wait()
