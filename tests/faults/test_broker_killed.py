"""The broker with its state on disk, killed (-9) under load at random moments: what it acknowledged is there, what was
completed is not, and what was under way is one or the other.

Each kill is followed by a new start on the same state. `MOSAIC_TEST_BROKER_KILLS` says how many (20), and
`MOSAIC_TEST_BROKER_SEED` with which seed they begin: five kills a seed.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from proton import Array, Data, Delivery, Message, ProtonException, Timeout, int32, symbol, timestamp, uint

from tests.support.amqp import Client, lock_token
from tests.support.broker import launch, write_config

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

KILLS_OF_A_SEED: Final = 5
SEEDS: Final = int(os.environ.get("MOSAIC_TEST_BROKER_KILLS", "20")) // KILLS_OF_A_SEED
FIRST: Final = int(os.environ.get("MOSAIC_TEST_BROKER_SEED", "1"))
WORKERS: Final = 3
PAGE: Final = 200
HOUR_MS: Final = 3_600_000
ACTIVE, DEFERRED, SCHEDULED, DEAD, ABSENT = "active", "deferred", "scheduled", "dead", "absent"
_STATES: Final = {0: ACTIVE, 1: DEFERRED, 2: SCHEDULED}
type Seen = dict[str, tuple[str, int, int]]
"""What a restarted broker has: id → (state, sequence number, delivery count)."""


@dataclass
class Expected:
    """Of one message: where it may be, and how many deliveries may have been counted."""

    states: set[str]
    least: int = 0
    most: int = 0
    received: bool = False
    sequence: int = 0


@dataclass
class Model:
    """What the clients know. A change that is under way leaves both states possible until it is answered."""

    messages: dict[str, Expected] = field(default_factory=dict)
    owners: dict[int, str] = field(default_factory=dict)
    answered: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def sends(self, name: str, states: set[str]) -> None:
        with self.lock:
            self.messages[name] = Expected({ABSENT, *states})

    def sent(self, name: str, states: set[str], sequence: int = 0) -> None:
        with self.lock:
            one = self.messages[name]
            self.answered += 1
            if not one.received:
                one.states, one.sequence = states, sequence

    def received(self, name: str, sequence: int, count: int) -> None:
        with self.lock:
            one = self.messages[name]
            assert ACTIVE in one.states, f"{name} was received, and should be {one.states}"
            assert one.least <= count <= one.most, f"{name}: {count} deliveries, not {one.least} to {one.most}"
            assert self.owners.setdefault(sequence, name) == name, f"number {sequence} was given twice"
            one.states, one.received, one.sequence = {ACTIVE}, True, sequence
            one.least = one.most = count

    def begins(self, name: str, after: str, counts: bool) -> None:
        with self.lock:
            one = self.messages[name]
            one.states |= {after}
            one.most += counts

    def ended(self, name: str, after: str) -> None:
        with self.lock:
            one = self.messages[name]
            one.states, one.least = {after}, one.most
            self.answered += 1

    def compare(self, seen: Seen) -> None:
        for name, one in self.messages.items():
            state, sequence, count = seen.get(name, (ABSENT, 0, 0))
            assert state in one.states, f"{name} is {state}, and should be {one.states}"
            if state == ABSENT:
                one.states = {ABSENT}
                continue
            assert one.least <= count <= one.most, f"{name}: {count} deliveries, not {one.least} to {one.most}"
            if state != DEAD:
                assert self.owners.setdefault(sequence, name) == name, f"number {sequence} was given twice"
            one.states = {SCHEDULED, ACTIVE} if state == SCHEDULED and name.startswith("soon") else {state}
            one.least, one.most, one.sequence = count, count, sequence
        assert set(seen) <= set(self.messages)


class Load:
    """Clients at work, until the broker is killed."""

    def __init__(self, process: subprocess.Popen[str], port: int, model: Model, chance: random.Random) -> None:
        self.process, self.port, self.model = process, port, model
        self.killed = threading.Event()
        self.errors: list[BaseException] = []
        self.goal = model.answered + chance.randrange(10, 250)
        self.jitter = chance.uniform(0, 0.01)
        self.threads = [
            threading.Thread(target=self._run, args=(random.Random(chance.random()),)) for _ in range(WORKERS)
        ]

    def until_killed(self) -> None:
        for thread in self.threads:
            thread.start()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()
        if self.errors:
            raise self.errors[0]
        assert self.killed.is_set()

    def _run(self, chance: random.Random) -> None:
        try:
            Worker(Client(self.port), self.model, chance).work(self._goes_on)
        except (ProtonException, OSError) as error:
            if not self.killed.is_set():
                self.errors.append(error)
        except BaseException as error:
            self.errors.append(error)
        finally:
            self._kill()

    def _goes_on(self) -> bool:
        if self.model.answered >= self.goal:
            self.killed.wait(self.jitter)
            self._kill()
        return not self.killed.is_set()

    def _kill(self) -> None:
        self.killed.set()
        self.process.kill()


class Worker:
    """One connection: what it sends and receives is up to chance."""

    def __init__(self, client: Client, model: Model, chance: random.Random) -> None:
        self.client, self.model, self.chance = client, model, chance
        self.sender = client.connection.create_sender("q")
        self.receiver = client.receiver("q", credit=5)

    def work(self, goes_on: Callable[[], bool]) -> None:
        acts = [self.send] * 4 + [self.settle] * 12 + [self.schedule, self.cancel, self.settle_deferred]
        while goes_on():
            self.chance.choice(acts)()

    def send(self) -> None:
        """Some at once; each is answered for itself."""
        names = [_name("sent") for _ in range(self.chance.randrange(1, 8))]
        for name in names:
            self.model.sends(name, {ACTIVE})
        deliveries = [self.sender.link.send(Message(id=name, body=b"x" * 300)) for name in names]
        try:
            self.client.connection.wait(lambda: all(one.settled for one in deliveries), timeout=10)
        finally:
            for name, delivery in zip(names, deliveries, strict=True):
                if delivery.remote_state == Delivery.ACCEPTED:
                    self.model.sent(name, {ACTIVE})

    def settle(self) -> None:
        try:
            message = self.receiver.receive(timeout=0.05)
        except Timeout:
            return
        name = str(message.id)
        sequence = (message.annotations or {})[symbol("x-opt-sequence-number")]
        self.model.received(name, sequence, message.delivery_count)
        delivery = self.receiver.fetcher.unsettled.pop()
        how, state, after, counts = self.chance.choice(
            [
                ("complete", Delivery.ACCEPTED, ABSENT, False),
                ("complete", Delivery.ACCEPTED, ABSENT, False),
                ("abandon", Delivery.MODIFIED, ACTIVE, True),
                ("release", Delivery.RELEASED, ACTIVE, False),
                ("defer", Delivery.MODIFIED, DEFERRED, True),
                ("dead-letter", Delivery.REJECTED, DEAD, False),
                ("over management", None, ABSENT, False),
            ]
        )
        self.model.begins(name, after, counts)
        if state is None:
            assert self.client.settle("q", "completed", lock_token(message)) == 200
        else:
            delivery.local.undeliverable = how == "defer"
            delivery.update(state)
            self.client.connection.wait(lambda: delivery.settled, timeout=10)
            assert delivery.remote_state == state, (how, delivery.remote.condition)
            assert delivery.remote.condition is None, (how, delivery.remote.condition)
        # One that is free again may be another client's by now, who knows better.
        if after != ACTIVE:
            self.model.ended(name, after)

    def schedule(self) -> None:
        kind = self.chance.choice(["soon", "far"])
        name = _name(kind)
        states = {SCHEDULED, ACTIVE} if kind == "soon" else {SCHEDULED}
        due = time.time_ns() // 1_000_000 + (self.chance.randrange(50, 1500) if kind == "soon" else HOUR_MS)
        raw = Message(id=name, annotations={symbol("x-opt-scheduled-enqueue-time"): timestamp(due)}).encode()
        self.model.sends(name, states)
        status, told = self.client.manage("q", "com.microsoft:schedule-message", {"messages": [{"message": raw}]})
        assert status == 200
        self.model.sent(name, states, next(iter(told["sequence-numbers"].elements)))

    def cancel(self) -> None:
        found = self._claimed("far", SCHEDULED)
        if found is None:
            return
        name, sequence = found
        asked = {"sequence-numbers": Array(None, Data.LONG, sequence)}
        assert self.client.manage("q", "com.microsoft:cancel-scheduled-message", asked)[0] == 200
        self.model.ended(name, ABSENT)

    def settle_deferred(self) -> None:
        found = self._claimed("", DEFERRED)
        if found is None:
            return
        name, sequence = found
        one = received_deferred(self.client, sequence)
        assert self.client.settle("q", "completed", one["lock-token"]) == 200
        self.model.ended(name, ABSENT)

    def _claimed(self, kind: str, state: str) -> tuple[str, int] | None:
        """One that is surely in this state, for this worker alone; it may be gone from now on."""
        with self.model.lock:
            for name, one in self.model.messages.items():
                if one.states == {state} and name.startswith(kind):
                    one.states = {state, ABSENT}
                    return name, one.sequence
        return None


def _name(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex}"


def received_deferred(client: Client, sequence: int) -> Any:
    asked = {"sequence-numbers": Array(None, Data.LONG, sequence), "receiver-settle-mode": uint(1)}
    status, told = client.manage("q", "com.microsoft:receive-by-sequence-number", asked)
    assert status == 200
    (one,) = told["messages"]
    return one


def everything(client: Client) -> Seen:
    """All messages, by peeking; one that is in two places fails."""
    seen: Seen = {}
    for path in ("q", "q/$deadletterqueue"):
        at = 0
        while True:
            asked = {"from-sequence-number": at, "message-count": int32(PAGE)}
            status, told = client.manage(path, "com.microsoft:peek-message", asked)
            if status == 204:
                break
            assert status == 200
            for one in told["messages"]:
                message = Message()
                message.decode(bytes(one["message"]))
                notes = {str(key): value for key, value in (message.annotations or {}).items()}
                state = _STATES[int(notes["x-opt-message-state"])] if path == "q" else DEAD
                name, sequence = str(message.id), int(notes["x-opt-sequence-number"])
                # one that falls due between two pages is seen again under its new number
                fell_due = state == ACTIVE and seen.get(name, (ABSENT,))[0] == SCHEDULED
                assert fell_due or name not in seen, f"{name} is there twice"
                seen[name] = (state, sequence, message.delivery_count)
                at = sequence + 1
    return seen


@contextmanager
def started(config: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    process = launch(config)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.stderr.read() if process.stderr else ""
        yield process, json.loads(line)["amqpPort"]
    finally:
        process.kill()
        process.communicate(timeout=10)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_acknowledged_is_never_lost_and_completed_never_comes_back(tmp_path: Path, seed: int) -> None:
    chance, model = random.Random(seed), Model()
    # Locks that outlive the test: what comes again after a kill comes because they are gone.
    queue = {"name": "q", "lockSeconds": 300, "maxDeliveryCount": 2000}
    config = write_config(tmp_path, queues=[queue], stateDir=str(tmp_path / "state"))
    for _ in range(KILLS_OF_A_SEED):
        with started(config) as (process, port):
            with Client(port) as client:
                model.compare(everything(client))
            Load(process, port, model, chance).until_killed()
    with started(config) as (_, port), Client(port) as client:
        model.compare(everything(client))
        _take_it_all(client, model)
    counted = {state: sum(one.states == {state} for one in model.messages.values()) for state in _ALL}
    print(f"\nseed {seed}: {model.answered} answers, {len(model.messages)} messages: {counted}")
    assert model.answered > 10 * KILLS_OF_A_SEED


_ALL: Final = (ACTIVE, DEFERRED, SCHEDULED, DEAD, ABSENT)


def _take_it_all(client: Client, model: Model) -> None:
    """What is said to be there can be received: no lock of a client that is gone stands in the way."""
    waiting = {name for name, one in model.messages.items() if one.states == {ACTIVE}}
    receiver = client.receiver("q", credit=50)
    while waiting:
        waiting.discard(str(receiver.receive(timeout=10).id))
        receiver.accept()
    for one in model.messages.values():
        if one.states == {DEFERRED}:
            received_deferred(client, one.sequence)
    dead = {name for name, one in model.messages.items() if one.states == {DEAD}}
    receiver = client.receiver("q/$deadletterqueue", credit=50)
    while dead:
        dead.discard(str(receiver.receive(timeout=10).id))
        receiver.accept()
