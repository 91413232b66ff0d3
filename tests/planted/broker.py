"""Defects of the embedded broker: locks and settlement, delivery, time, what survives, who may come in, event hubs."""

from __future__ import annotations

from typing import Final

from tests.planted.defect import Defect

_QUEUE: Final = "mosaic_local/broker/queue.py"
_LINKS: Final = "mosaic_local/broker/links.py"
_MANAGEMENT: Final = "mosaic_local/broker/management.py"
_ENTITIES: Final = "mosaic_local/broker/entities.py"
_JOURNAL: Final = "mosaic_local/broker/journal.py"
_CONTENT: Final = "mosaic_local/broker/content.py"
_SAS: Final = "mosaic_local/broker/sas.py"
_HUB: Final = "mosaic_local/broker/eventhub.py"
_CLIENTS: Final = "tests/contract/test_broker_clients.py::"
_SUITE: Final = "tests/contract/test_broker_servicebus.py::"
_STATES: Final = "tests/unit/test_broker_queue.py::"
_MACHINE: Final = (_STATES + "test_any_order_of_operations_loses_and_doubles_nothing",)
_BYTES: Final = "tests/unit/test_broker_wire.py::"
_TURNS: Final = "tests/unit/test_broker_turns.py::"

DEFECTS: Final = (
    # ------------------------------------------------------------------------------------------- locks and settlement
    Defect(
        name="broker-stale-settlement-on-the-link",
        file=_LINKS,
        old="                if not self._settle(token, state, raw):\n",
        new="                if self._settle(token, state, raw) is None:\n",
        caught_by=(_CLIENTS + "test_a_stale_settlement_is_refused_on_the_link",),
        what="a receiver believes that it completed what another one is working on",
    ),
    Defect(
        name="broker-stale-settlement-over-management",
        file=_MANAGEMENT,
        old="    if not settled:\n",
        new="    if settled is None:\n",
        caught_by=(_CLIENTS + "test_a_stale_settlement_is_refused_over_management",),
        what="a receiver believes that it completed what another one is working on",
    ),
    Defect(
        name="broker-stale-renewal",
        file=_MANAGEMENT,
        old="    if None in until:\n",
        new="    until = [one or now for one in until]\n    if None in until:\n",
        caught_by=(_CLIENTS + "test_a_stale_settlement_is_refused_over_management",),
        what="a lock that is lost is renewed, and the receiver works on",
    ),
    Defect(
        name="broker-late-settlement-before-the-timer",
        file=_QUEUE,
        old="        if message.locked_until <= now:  # it ran out",
        new="        if message.locked_until < 0:  # it ran out",
        caught_by=(_STATES + "test_settling_late_is_refused_even_before_the_timer_ran",),
        what="a lock holds for as long as nobody looks",
    ),
    Defect(
        name="broker-renewal-without-effect",
        file=_QUEUE,
        old="        message.locked_until = now + self.settings.lock_ms\n        return",
        new="        return now + self.settings.lock_ms or",
        caught_by=(_STATES + "test_a_lock_ends_exactly_when_it_says",),
        what="a renewed lock runs out, and the message is worked on twice",
    ),
    Defect(
        name="broker-one-message-on-two-links",
        file=_ENTITIES,
        old="                link.send(message)\n",
        new="                link.send(message)\n                links[self._next % len(links)].send(message)\n",
        caught_by=(_CLIENTS + "test_no_message_is_on_two_links_at_once",),
        what="two receivers work on one message",
    ),
    Defect(
        name="broker-a-message-that-went-out-is-still-ready",
        file=_QUEUE,
        old="            self._lock(message, token, now)\n        return message\n",
        new="            self._lock(message, token, now)\n"
        "            message.token = None\n"
        "            heapq.heappush(self._ready, message.sequence)\n"
        "        return message\n",
        caught_by=_MACHINE,
        what="two receivers work on one message",
    ),
    Defect(
        name="broker-a-deferred-message-is-locked-twice",
        file=_QUEUE,
        old="message in found or message.token is not None:\n",
        new="message in found:\n",
        caught_by=(_STATES + "test_deferred_messages_are_locked_all_or_none",),
        what="two receivers work on one deferred message",
    ),
    Defect(
        name="broker-abandon-drops-properties-on-the-link",
        file=_LINKS,
        old="            return self.queue.abandon(token, now, properties)\n",
        new="            return self.queue.abandon(token, now)\n",
        caught_by=(_CLIENTS + "test_modified_counts_a_delivery_and_keeps_properties_though_no_failure_is_said",),
        what="what a receiver writes on a message that it gives back is lost",
    ),
    Defect(
        name="broker-abandon-drops-properties-over-management",
        file=_MANAGEMENT,
        old="            settled &= queue.abandon(token, now, properties)\n",
        new="            settled &= queue.abandon(token, now)\n",
        caught_by=(_CLIENTS + "test_every_settlement_over_management_keeps_the_properties_to_modify",),
        what="what a receiver writes on a message that it gives back is lost",
    ),
    Defect(
        name="broker-defer-drops-properties",
        file=_QUEUE,
        old="        message = self._unlock(token, now, properties)\n        if message is None:\n            return False\n        message.state",
        new="        message = self._unlock(token, now)\n        if message is None:\n            return False\n        message.state",
        caught_by=(_CLIENTS + "test_every_settlement_over_management_keeps_the_properties_to_modify",),
        what="what a receiver writes on a message that it defers is lost",
    ),
    Defect(
        name="broker-modified-does-not-count",
        file=_LINKS,
        old="            return self.queue.abandon(token, now, properties)\n",
        new="            return self.queue.release(token, now)\n",
        caught_by=(_CLIENTS + "test_modified_counts_a_delivery_and_keeps_properties_though_no_failure_is_said",),
        what="a message that no receiver can take goes round for ever",
    ),
    Defect(
        name="broker-released-counts",
        file=_LINKS,
        old="            return self.queue.release(token, now)\n",
        new="            return self.queue.abandon(token, now)\n",
        caught_by=(_CLIENTS + "test_what_is_released_comes_again_and_counts_nothing",),
        what="a receiver that gives back what it has no time for makes dead letters",
    ),
    Defect(
        name="broker-the-last-dead-lettering-says-why",
        file=_QUEUE,
        old="        stays = self.dead is None\n",
        new="        stays = False\n",
        caught_by=(_CLIENTS + "test_the_first_dead_lettering_says_why",),
        what="nobody learns why a message is dead",
    ),
    Defect(
        name="broker-one-delivery-too-many",
        file=_QUEUE,
        old="message.count >= self.settings.max_delivery_count:",
        new="message.count > self.settings.max_delivery_count:",
        caught_by=(_STATES + "test_the_last_delivery_that_fails_makes_a_dead_letter_with_the_same_number",),
        what="a message is delivered once more than its queue allows",
    ),
    # -------------------------------------------------------------------------------------------------------- delivery
    Defect(
        name="broker-sends-beyond-the-credit",
        file=_ENTITIES,
        old="            if link.credit <= 0:\n",
        new="            if link.credit < 0:\n",
        caught_by=(_CLIENTS + "test_no_message_goes_to_a_link_without_credit",),
        what="a receiver that is busy locks what an idle one could do",
    ),
    Defect(
        name="broker-one-link-gets-everything",
        file=_ENTITIES,
        old="            self._next += 1\n",
        new="            self._next += link.credit <= 0\n",
        caught_by=(_CLIENTS + "test_links_with_credit_take_turns",),
        what="one of several receivers does all the work",
    ),
    Defect(
        name="broker-receive-and-delete-keeps",
        file=_ENTITIES,
        old="queue.take(now) if link.destructive else ",
        new="",
        caught_by=(_SUITE + "test_receive_and_delete",),
        what="what was received for good comes again",
    ),
    Defect(
        name="broker-dead-letter-queues-take-messages",
        file=_LINKS,
        old="    if queue is queue_entity.dead:\n",
        new="    if queue is None:\n",
        caught_by=(_CLIENTS + "test_nothing_can_be_sent_to_a_dead_letter_queue",),
        what="what is sent to a dead-letter queue is on the queue itself",
    ),
    Defect(
        name="broker-no-message-id",
        file=_ENTITIES,
        old="entity.main.put(content.with_message_id(), now)",
        new="entity.main.put(content, now)",
        caught_by=(_CLIENTS + "test_a_message_id_is_assigned_on_intake_where_none_was_set",),
        what="JavaScript's client cannot settle what it received",
    ),
    Defect(
        name="broker-any-size-of-properties",
        file=_ENTITIES,
        old="len(content.application) + len(content.properties) > MAX_PROPERTIES:",
        new="len(content.properties) > MAX_PROPERTIES:",
        caught_by=(_CLIENTS + "test_properties_above_64_kb_are_refused",),
        what="what Azure refuses is found out in Azure",
    ),
    Defect(
        name="broker-a-sender-s-own-sequence-number",
        file=_CONTENT,
        old="        if name not in BROKER_OWNED:\n",
        new="        if name:\n",
        caught_by=(_BYTES + "test_a_message_keeps_its_sections_and_gains_the_brokers_annotations",),
        what="a dead letter that is sent again has the number of its former life",
    ),
    # ------------------------------------------------------------------------------------------------------------ time
    Defect(
        name="broker-the-sender-s-time-to-live-alone",
        file=_QUEUE,
        old="self.settings.ttl_ms if own is None else min(own, self.settings.ttl_ms))",
        new="self.settings.ttl_ms if own is None else own)",
        caught_by=(_STATES + "test_time_to_live_is_the_shorter_of_both_and_waits_for_the_lock",),
        what="a message outlives what its queue allows",
    ),
    Defect(
        name="broker-an-expired-message-is-delivered",
        file=_QUEUE,
        old="            if message.expires is not None and message.expires <= now:\n                self._expire(message)\n"
        "                continue\n            return message",
        new="            return message",
        caught_by=_MACHINE,
        what="a message is worked on after its time",
    ),
    Defect(
        name="broker-a-scheduled-message-keeps-its-number",
        file=_QUEUE,
        old="message.enqueued = self._next_sequence(), State.ACTIVE, now",
        new="message.enqueued = message.sequence, State.ACTIVE, now",
        caught_by=(_STATES + "test_a_scheduled_message_gets_a_new_number_and_its_time_to_live_starts_when_due",),
        what="a message that comes now goes ahead of older ones, and its old number can cancel it",
    ),
    Defect(
        name="broker-cancels-what-it-can",
        file=_QUEUE,
        old="        if len(scheduled) != len(found):\n",
        new="        if not scheduled:\n",
        caught_by=(_STATES + "test_cancelling_is_all_or_nothing",),
        what="half of a request that is refused is done",
    ),
    # --------------------------------------------------------------------------------------------------- what survives
    Defect(
        name="broker-nothing-is-committed-at-the-end-of-a-turn",
        file=_ENTITIES,
        old="        try:\n            self.journal.commit()\n",
        new="        try:\n            pass\n",
        caught_by=(_CLIENTS + "test_what_was_acknowledged_is_there_after_a_kill_at_once",),
        what="what was acknowledged is gone after a crash",
    ),
    Defect(
        name="broker-answers-before-it-commits",
        file=_ENTITIES,
        old="            self.journal.commit()\n        except sqlite3.Error",
        new="            for one in list(self._unsent):\n                one.flush()\n"
        "            self.journal.commit()\n        except sqlite3.Error",
        caught_by=(_TURNS + "test_what_is_answered_is_committed_first",),
        what="what was acknowledged is gone after a crash at the wrong moment",
    ),
    Defect(
        name="broker-acknowledges-what-it-cannot-write",
        file=_ENTITIES,
        old="                connection.abort()\n            return\n",
        new="                connection.flush()\n            return\n",
        caught_by=(_TURNS + "test_what_cannot_be_written_is_not_acknowledged_and_written_with_the_next_turn",),
        what="a full disk loses messages without a word",
    ),
    Defect(
        name="broker-what-cannot-be-written-is-forgotten",
        file=_JOURNAL,
        old="        with db:\n            if rows:\n",
        new="        self._saved = {}\n        with db:\n            if rows:\n",
        caught_by=(_TURNS + "test_what_cannot_be_written_is_not_acknowledged_and_written_with_the_next_turn",),
        what="after a full disk the state lacks what its clients see",
    ),
    Defect(
        name="broker-what-is-completed-comes-back",
        file=_JOURNAL,
        old="        self._stored.update(self._saved)\n",
        new="",
        caught_by=(_TURNS + "test_what_is_completed_does_not_come_back",),
        what="after a restart finished work is done again",
    ),
    Defect(
        name="broker-a-restored-message-is-never-removed",
        file=_JOURNAL,
        old="            self._stored.add(key)\n",
        new="",
        caught_by=(_TURNS + "test_what_is_completed_does_not_come_back",),
        what="after a second restart finished work is done again",
    ),
    Defect(
        name="broker-sequence-numbers-start-again",
        file=_JOURNAL,
        old="            if sequences:\n",
        new="            if not sequences:\n",
        caught_by=(_TURNS + "test_no_sequence_number_is_given_twice_whatever_was_removed_meanwhile",),
        what="after a restart another message has the number that somebody kept",
    ),
    Defect(
        name="broker-a-failed-delivery-is-not-recorded",
        file=_QUEUE,
        old="        self._recorder.save(self, message)\n        self._back(message, now)\n",
        new="        self._back(message, now)\n",
        caught_by=_MACHINE,
        what="a message that crashes its receiver and the broker is never dead-lettered",
    ),
    Defect(
        name="broker-a-deferred-message-is-not-recorded",
        file=_QUEUE,
        old="        self._watch(message)\n        self._recorder.save(self, message)\n        return True\n",
        new="        self._watch(message)\n        return True\n",
        caught_by=_MACHINE,
        what="after a restart nobody finds what was deferred",
    ),
    Defect(
        name="broker-a-lost-connection-waits-for-the-garbage-collector",
        file="mosaic_local/broker/connection.py",
        old="        self._link_events.clear()\n",
        new="",
        caught_by=(_TURNS + "test_a_connection_that_is_lost_goes_at_once_with_its_buffers",),
        what="memory grows by some 100 KB with each connection that comes and goes",
    ),
    Defect(
        name="broker-two-on-one-folder",
        file=_JOURNAL,
        old="PRAGMA locking_mode = EXCLUSIVE",
        new="PRAGMA locking_mode = NORMAL",
        caught_by=(_BYTES + "test_one_folder_serves_one_broker",),
        what="two brokers write one state, and each loses the other's",
    ),
    # ------------------------------------------------------------------------------------------------- who may come in
    Defect(
        name="broker-a-token-for-nothing-is-good",
        file=_MANAGEMENT,
        old="    if queue and queue not in entities.queues and hub not in entities.hubs:\n",
        new="    if queue and not entities.queues and hub not in entities.hubs:\n",
        caught_by=(_CLIENTS + "test_a_token_for_what_is_not_there_is_answered_as_such",),
        what="a missing queue is told at another moment, and by another error, than on Azure",
    ),
    Defect(
        name="broker-expired-tokens-open",
        file=_SAS,
        old="        if expires <= now_s:\n",
        new="        if expires < 0:\n",
        caught_by=(_BYTES + "test_bad_tokens_are_refused_by_reason",),
        what="a token is good for ever",
    ),
    Defect(
        name="broker-a-token-opens-its-neighbours",
        file=_SAS,
        old='path.startswith(self.path + "/")',
        new="path.startswith(self.path)",
        caught_by=(_BYTES + "test_a_good_token_opens_its_entity_until_it_expires",),
        what="the token of one queue opens those whose names begin with its own",
    ),
    Defect(
        name="broker-any-password",
        file=_SAS,
        old="        return hmac.compare_digest(key.encode(), self.key.encode()) and right\n",
        new="        return right\n",
        caught_by=(_CLIENTS + "test_a_wrong_name_or_key_is_refused_at_the_door",),
        what="the name of the key is enough",
    ),
    Defect(
        name="broker-management-tokens-open-the-entity",
        file=_SAS,
        old='        return Grant(path_of(unquote_plus(raw["sr"])), expires)',
        new='        return Grant(path_of(unquote_plus(raw["sr"])).removesuffix("/$management"), expires)',
        caught_by=(_CLIENTS + "test_a_token_for_management_opens_management_and_nothing_else",),
        what="who may look at a queue may empty it",
    ),
    # ------------------------------------------------------------------------------------------------------ event hubs
    Defect(
        name="broker-a-lower-owner-level-reads",
        file=_LINKS,
        old="if highest is not None and (self.epoch is None or self.epoch < highest):",
        new="if highest is not None and self.epoch is None:",
        caught_by=(_CLIENTS + "test_a_lower_owner_level_is_refused",),
        what="two processors own one partition",
    ),
    Defect(
        name="broker-no-owner-level-reads",
        file=_LINKS,
        old="if highest is not None and (self.epoch is None or self.epoch < highest):",
        new="if highest is not None and self.epoch is not None and self.epoch < highest:",
        caught_by=(_CLIENTS + "test_a_lower_owner_level_is_refused",),
        what="two processors own one partition",
    ),
    Defect(
        name="broker-a-key-has-no-partition",
        file=_HUB,
        old="next(self._turn) if partition_key is None else zlib.crc32(partition_key)",
        new="next(self._turn)",
        caught_by=(_BYTES + "test_keys_are_stable_and_partitions_are_named_by_number",),
        what="events of one household overtake each other",
    ),
    Defect(
        name="broker-a-consumer-sees-its-last-event-again",
        file=_HUB,
        old='number + (comparison == ">")',
        new="number",
        caught_by=(_BYTES + "test_positions",),
        what="each restart of a consumer repeats an event",
    ),
    Defect(
        name="broker-retention-renumbers",
        file=_HUB,
        old="        self.first += drop\n",
        new="",
        caught_by=(_BYTES + "test_retention_drops_the_oldest_and_readers_go_on_at_the_oldest_kept",),
        what="a checkpoint points to another event",
    ),
)
