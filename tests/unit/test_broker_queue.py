"""The queue's semantics without sockets or time: single cases, and a state machine over all of them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from mosaic_local.broker.content import Content
from mosaic_local.broker.errors import ArgumentError
from mosaic_local.broker.queue import DEAD_LETTERS, EXPIRED_REASON, MAX_DELIVERY_REASON, Message, Queue, Settings, State
from tests.support.examples import examples

LOCK = 1_000
TTL = 100_000
MAX_DELIVERIES = 2


class Memory:
    """A recorder that keeps what a restart would find."""

    def __init__(self) -> None:
        self.rows: dict[int, tuple[object, ...]] = {}

    def save(self, queue: Queue, message: Message) -> None:
        self.rows[message.id] = row(queue, message)

    def remove(self, message: Message) -> None:
        del self.rows[message.id]


def row(queue: Queue, message: Message) -> tuple[object, ...]:
    return (
        queue.name,
        message.sequence,
        message.state,
        message.count,
        message.enqueued,
        message.due,
        message.expires,
        message.content,
    )


def queues(recorder: Memory | None = None, **changes: int | bool) -> tuple[Queue, Queue]:
    ids = itertools.count(1).__next__
    options = Settings(lock_ms=LOCK, max_delivery_count=MAX_DELIVERIES, ttl_ms=TTL)
    for name, value in changes.items():
        setattr(options, name, value)
    dead = Queue("q" + DEAD_LETTERS, options, recorder=recorder, next_id=ids)
    return Queue("q", options, dead=dead, recorder=recorder, next_id=ids), dead


def reason(message: Message) -> object:
    return message.content.application_properties().get("DeadLetterReason")


def scheduled(at: int) -> Content:
    return Content(b"\x00\x53\x77\x40", scheduled_ms=at)


def test_oldest_first_also_after_an_abandon() -> None:
    queue, _ = queues()
    for body in (b"a", b"b"):
        queue.put(Content.of(body), 0)
    first = queue.receive(b"1", 0)
    assert first is not None
    assert queue.abandon(b"1", 1)
    again = queue.receive(b"2", 2)
    assert again is first
    assert again.count == 1


def test_a_lock_ends_exactly_when_it_says() -> None:
    queue, _ = queues()
    message = queue.put(Content.of(b"a"), 0)
    assert queue.receive(b"1", 0) is message
    assert message.locked_until == LOCK
    assert queue.renew(b"1", LOCK - 1) == 2 * LOCK - 1
    assert message.locked_until == 2 * LOCK - 1
    assert queue.renew(b"1", 2 * LOCK - 1) is None
    assert message.count == 1
    assert not queue.complete(b"1", 2 * LOCK - 1)
    assert queue.receive(b"2", 2 * LOCK) is message


def test_settling_late_is_refused_even_before_the_timer_ran() -> None:
    queue, _ = queues()
    message = queue.put(Content.of(b"a"), 0)
    queue.receive(b"1", 0)
    assert not queue.complete(b"1", LOCK)
    assert queue.messages() == [message]
    assert message.count == 1


def test_a_property_that_amqp_cannot_carry_settles_nothing_and_the_lock_stands() -> None:
    """A lone surrogate comes as a character of AMQP, and goes as none. The message was then nobody's."""
    queue, dead = queues()
    message = queue.put(Content.of(b"a"), 0)
    for settle in (queue.abandon, queue.defer):
        queue.receive(b"1", 0)
        with pytest.raises(ArgumentError):
            settle(b"1", 0, {"\ud800": 1})
        assert queue.renew(b"1", 0) == LOCK
        assert queue.release(b"1", 0)
    queue.receive(b"1", 0)
    with pytest.raises(ArgumentError):
        queue.dead_letter(b"1", 0, "reason", None, {"\ud800": 1})
    assert queue.complete(b"1", 0)
    assert (queue.messages(), dead.messages(), message.count) == ([], [], 0)


def test_the_last_delivery_that_fails_makes_a_dead_letter_with_the_same_number() -> None:
    queue, dead = queues()
    queue.put(Content.of(b"other"), 0)
    assert queue.take(0) is not None
    message = queue.put(Content.of(b"a"), 0)
    for attempt in range(MAX_DELIVERIES):
        queue.receive(b"%d" % attempt, 0)
        assert queue.abandon(b"%d" % attempt, 0)
    assert queue.messages() == []
    assert dead.messages() == [message]
    assert (reason(message), message.sequence, message.count) == (MAX_DELIVERY_REASON, 2, MAX_DELIVERIES)


def test_dead_letters_know_no_limits_and_stay() -> None:
    queue, dead = queues()
    queue.put(Content.of(b"a"), 0)
    queue.receive(b"1", 0)
    assert queue.dead_letter(b"1", 0, "why", "because")
    for attempt in range(20):
        message = dead.receive(b"%d" % attempt, TTL * 10)
        assert message is not None
        assert dead.abandon(b"%d" % attempt, TTL * 10)
    again = dead.receive(b"x", TTL * 10)
    assert dead.dead_letter(b"x", TTL * 10, "again")
    assert dead.messages() == [again]
    assert [one.sequence for one in dead.peek(1, 10)] == [1]
    assert dead.receive(b"y", TTL * 10) is again


def test_time_to_live_is_the_shorter_of_both_and_waits_for_the_lock() -> None:
    queue, dead = queues()
    short = queue.put(Content(b"\x00\x53\x77\x40", ttl_ms=500), 0)
    long = queue.put(Content(b"\x00\x53\x77\x40", ttl_ms=TTL * 9), 0)
    assert (short.expires, long.expires) == (500, TTL)
    assert queue.receive(b"1", 400) is short
    queue.tick(700)
    assert dead.messages() == []
    assert queue.release(b"1", 800)
    assert dead.messages() == [short]
    assert reason(short) == EXPIRED_REASON
    queue.tick(TTL)
    assert queue.messages() == []


def test_expired_messages_go_where_dead_lettering_is_off() -> None:
    queue, dead = queues(dead_letter_on_expiration=False)
    queue.put(Content.of(b"a"), 0)
    queue.tick(TTL)
    assert (queue.messages(), dead.messages()) == ([], [])


def test_a_scheduled_message_gets_a_new_number_and_its_time_to_live_starts_when_due() -> None:
    queue, _ = queues()
    message = queue.put(scheduled(TTL // 2), 0)
    later = queue.put(Content.of(b"b"), 0)
    assert (message.sequence, message.state) == (1, State.SCHEDULED)
    assert queue.receive(b"1", 0) is later
    assert queue.release(b"1", 1)
    queue.tick(TTL // 2)
    assert (message.sequence, message.state, message.expires) == (3, State.ACTIVE, TTL // 2 + TTL)
    assert queue.peek(1, 5) == [later, message]


def test_cancelling_is_all_or_nothing() -> None:
    queue, _ = queues()
    first, second = queue.put(scheduled(10), 0), queue.put(scheduled(20), 0)
    active = queue.put(Content.of(b"a"), 0)
    assert not queue.cancel([first.sequence, active.sequence])
    assert queue.counts().scheduled == 2
    assert queue.cancel([first.sequence, second.sequence])
    assert queue.messages() == [active]


def test_deferred_messages_are_locked_all_or_none() -> None:
    queue, _ = queues(max_delivery_count=3)
    for body in (b"a", b"b"):
        queue.put(Content.of(body), 0)
    for token in (b"1", b"2"):
        queue.receive(token, 0)
        assert queue.defer(token, 0)
    assert queue.receive_deferred([1, 3], [b"x", b"y"], 0) is None
    found = queue.receive_deferred([1, 2], [b"x", b"y"], 0)
    assert found is not None
    assert [message.sequence for message in found] == [1, 2]
    assert queue.receive_deferred([1], [b"z"], LOCK - 1) is None
    assert queue.receive_deferred([1], [b"z"], LOCK) is not None  # the first lock ran out, and counted
    assert found[0].count == 2


def test_a_deferred_message_whose_lock_ran_out_once_too_often_is_a_dead_letter_and_not_received() -> None:
    queue, dead = queues()
    message = queue.put(Content.of(b"a"), 0)
    queue.receive(b"1", 0)
    assert queue.defer(b"1", 0)
    assert queue.receive_deferred([1], [b"2"], 0) == [message]
    assert queue.receive_deferred([1], [b"3"], LOCK) is None
    assert (queue.messages(), dead.messages(), message.token) == ([], [message], None)


def test_what_passes_through_leaves_nothing_behind() -> None:
    """Timers and orders of messages that are gone do not pile up."""
    queue, _ = queues()
    for now in range(20_000):
        queue.put(Content.of(b"a"), now)
        queue.receive(b"1", now)
        assert queue.complete(b"1", now)
    assert len(queue._timers) < 3_000
    assert len(queue._order) < 200
    assert len(queue._ready) < 200


class QueueMachine(RuleBasedStateMachine):
    """Any order of operations and any passing of time: nothing is lost, locked twice or miscounted, and what the
    journal was told is what there is."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = Memory()
        self.main, self.dead = queues(self.memory)
        self.now = 0
        self.tokens = itertools.count(1)
        self.known: set[int] = set()
        self.gone: set[int] = set()
        self.held: dict[bytes, tuple[Queue, Message]] = {}

    def _token(self) -> bytes:
        return b"%d" % next(self.tokens)

    def _live(self) -> list[tuple[Queue, Message]]:
        return [(queue, message) for queue in (self.main, self.dead) for message in queue.messages()]

    def _take(self, token: bytes, queue: Queue, message: Message) -> None:
        for other, (_, held) in self.held.items():
            assert held is not message or held.token != other or held.locked_until <= self.now, "locked twice"
        self.held[token] = (queue, message)

    def _held_and_alive(self, token: bytes) -> bool:
        _, message = self.held[token]
        return message.token == token and message.locked_until > self.now

    @precondition(lambda self: len(self._live()) < 5)
    @rule(ttl=st.sampled_from([None, None, 0, 2_500]), ahead=st.sampled_from([None, None, -10, 700]))
    def put(self, ttl: int | None, ahead: int | None) -> None:
        due = None if ahead is None else self.now + ahead
        message = self.main.put(Content(b"\x00\x53\x77\x40", ttl_ms=ttl, scheduled_ms=due), self.now)
        self.known.add(message.id)

    @rule(dead=st.sampled_from([False, False, True]))
    def receive(self, dead: bool) -> None:
        queue, token = (self.dead if dead else self.main), self._token()
        message = queue.receive(token, self.now)
        if message is not None:
            assert message.state is State.ACTIVE
            assert message.expires is None or message.expires > self.now
            self._take(token, queue, message)

    @rule(dead=st.booleans())
    def receive_and_delete(self, dead: bool) -> None:
        message = (self.dead if dead else self.main).take(self.now)
        if message is not None:
            self.gone.add(message.id)

    @rule(data=st.data())
    def receive_deferred(self, data: st.DataObject) -> None:
        deferred = [(q, m) for q, m in self._live() if m.state is State.DEFERRED]
        if not deferred:
            return
        queue, message = data.draw(st.sampled_from(deferred))
        token = self._token()
        found = queue.receive_deferred([message.sequence], [token], self.now)
        if found is not None:
            assert found == [message]
            self._take(token, queue, message)

    @precondition(lambda self: self.held)
    @rule(
        data=st.data(), how=st.sampled_from(["abandon"] * 3 + ["complete", "release", "defer", "dead_letter", "renew"])
    )
    def settle(self, data: st.DataObject, how: str) -> None:
        token = data.draw(st.sampled_from(sorted(self.held, key=int)[-3:]))
        queue, message = self.held[token]
        alive, count = self._held_and_alive(token), message.count
        answer = getattr(queue, how)(token, self.now)
        assert (answer not in (None, False)) == alive
        if alive and how == "renew":
            return
        del self.held[token]
        if not alive:
            return
        if how == "complete":
            self.gone.add(message.id)
        elif how in ("abandon", "defer"):
            assert message.count == count + 1
        else:
            assert message.count == count
        if how == "dead_letter":
            assert message in self.dead.messages()

    @rule(step=st.sampled_from([1, 300, 1_000, 1_200, 4_000]))
    def pass_time(self, step: int) -> None:
        """Without a tick: the timer is late."""
        self.now += step

    @rule()
    def tick(self) -> None:
        for queue in (self.main, self.dead):
            queue.tick(self.now)
            assert (deadline := queue.next_deadline()) is None or deadline > self.now
        for queue, message in self._live():
            if message.token is None and message.state is not State.SCHEDULED and queue is self.main:
                assert message.expires is not None
                assert message.expires > self.now
            assert message.state is not State.SCHEDULED or message.due > self.now
            assert message.token is None or message.locked_until > self.now

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        live = self._live()
        if not live:
            return
        _, message = data.draw(st.sampled_from(live))
        was = message.state is State.SCHEDULED
        if self.main.cancel([message.sequence]):
            assert was
            self.gone.add(message.id)

    @invariant()
    def nothing_lost_nothing_doubled(self) -> None:
        ids = [message.id for _, message in self._live()]
        assert len(ids) == len(set(ids))
        assert set(ids) == self.known - self.gone

    @invariant()
    def at_the_maximum_only_among_the_dead(self) -> None:
        for queue, message in self._live():
            if queue is self.main and message.state is State.ACTIVE and message.token is None:
                assert message.count < MAX_DELIVERIES

    @invariant()
    def counts_and_peek_agree(self) -> None:
        for queue in (self.main, self.dead):
            counts = queue.counts()
            assert counts.active + counts.deferred + counts.scheduled == len(queue.messages())
            peeked = queue.peek(0, 10_000)
            assert [one.sequence for one in peeked] == sorted(one.sequence for one in queue.messages())

    @invariant()
    def the_journal_knows(self) -> None:
        assert self.memory.rows == {message.id: row(queue, message) for queue, message in self._live()}


def test_any_order_of_operations_loses_and_doubles_nothing() -> None:
    limits = settings(max_examples=examples(60, slow=150), stateful_step_count=60, deadline=None)
    run_state_machine_as_test(QueueMachine, settings=limits)
