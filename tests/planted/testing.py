"""Defects of the time and the faults that tests ask for: a test that relies on them would pass for a wrong reason."""

from __future__ import annotations

from typing import Final

from tests.planted.defect import Defect

_AZURITE: Final = "mosaic_local/azurite_testing.cjs"
_STORAGE: Final = "tests/contract/test_storage_faults.py::"
_APP: Final = "tests/contract/test_any_app.py::"
_BROKER: Final = "tests/contract/test_broker_faults.py::"

DEFECTS: Final = (
    Defect(
        name="storage-fault-at-every-table",
        file=_AZURITE,
        old="(rule.entity === null || rule.entity.toLowerCase() === entity)",
        new="(rule.entity === null || entity !== null)",
        caught_by=(_STORAGE + "test_a_rule_meets_its_service_operation_entity_and_path_alone",),
        what="a fault asked for at one table meets all of them",
    ),
    Defect(
        name="storage-lost-answer-of-nothing",
        file=_AZURITE,
        old="    if (rule !== undefined) loseAnswer(",
        new="    if (rule !== undefined) return request.socket.destroy();\n    if (rule !== undefined) loseAnswer(",
        caught_by=(_STORAGE + "test_a_write_whose_answer_is_lost_is_met_again_by_its_repetition",),
        what="what lost its answer was not done either: the worst fault is not tried",
    ),
    Defect(
        name="storage-fault-for-good",
        file=_AZURITE,
        old="      rule.left -= 1;\n",
        new="",
        caught_by=(_STORAGE + "test_the_sdk_gets_over_a_busy_service_by_itself",),
        what="a fault that was to happen twice happens for ever",
    ),
    Defect(
        name="storage-faults-without-a-seed",
        file=_AZURITE,
        old="    this.state = seed;\n",
        new="    this.state = Math.floor(Math.random() * 2 ** 31);\n",
        caught_by=(_STORAGE + "test_one_seed_is_one_order_of_faults",),
        what="a run that failed cannot be had again",
    ),
    Defect(
        name="storage-whose-rows-do-not-age",
        file=_AZURITE,
        old="globalThis.Date = MovedDate;",
        new="globalThis.Date = Date;",
        caught_by=(_STORAGE + "test_rows_age_by_a_clock_that_is_moved",),
        what="leases never end in virtual time",
    ),
    Defect(
        name="storage-control-without-a-key",
        file=_AZURITE,
        old="if (request.headers.authorization !== `Bearer ${key}`) {",
        new="if (key === undefined) {",
        caught_by=(_STORAGE + "test_who_has_not_the_account_s_key_is_refused",),
        what="anybody makes faults",
    ),
    Defect(
        name="time-that-passes-over-slots",
        file="mosaic_local/testing.py",
        old="for at in (*slots.values(), deadline, end) if at is not None)",
        new="for at in (deadline, end) if at is not None)",
        caught_by=(_APP + "test_thirty_days_of_backoff_and_of_nights_go_by",),
        what="one run stands for thirty nights",
    ),
    Defect(
        name="time-that-does-not-wait-for-messages",
        file="mosaic_local/testing.py",
        old="            now, deadline = self.broker._quiet(patience)\n            if stop",
        new="            now, deadline = self.broker._advance(timedelta())\n            if stop",
        caught_by=(_APP + "test_time_waits_for_a_message_that_is_in_hand",),
        what="locks run out under a worker that was given no time",
    ),
    Defect(
        name="time-of-timers-alone",
        file="mosaic_local/host/clock.py",
        old="        self._moved.shift(by)\n",
        new="        del by\n",
        caught_by=(_APP + "test_thirty_days_of_backoff_and_of_nights_go_by",),
        what="the app and its timers stay in today's time",
    ),
    Defect(
        name="time-of-a-worker-that-comes-again",
        file="mosaic_local/embedded.py",
        old='"aheadSeconds": self._ahead().total_seconds(),',
        new='"aheadSeconds": 0.0,',
        caught_by=(_APP + "test_a_worker_that_comes_again_is_in_the_same_time",),
        what="after a crash the app is in another time than its messages",
    ),
    Defect(
        name="quiet-with-messages-in-hand",
        file="mosaic_local/broker/queue.py",
        old="return bool(self._ready or self._locked)",
        new="return bool(self._ready)",
        caught_by=(_BROKER + "test_it_is_quiet_when_nothing_is_left_that_does_not_wait_for_a_time",),
        what="time goes on while a message is worked on",
    ),
)
