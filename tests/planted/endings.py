"""Defects of what ends and removes what nobody else does: the reconciler, the approvals' timer, retention."""

from __future__ import annotations

from typing import Final

from tests.planted.defect import Defect

_RECONCILER = "mosaic_core/services/reconciler.py"
_FINISH = "mosaic_core/services/delivery/finish.py"
_RESERVE = "mosaic_core/services/delivery/reserve.py"
_RETENTION = "mosaic_core/services/retention.py"
_DUE = "mosaic_core/services/approvals_due.py"
_ENQUEUE = "mosaic_core/services/enqueue.py"
_RECONCILING = "tests/unit/test_reconciler.py::"
_STUCK = "tests/unit/test_stuck_states.py::"
_KEEPING = "tests/unit/test_retention.py::"
_DUES = "tests/unit/test_approvals_due.py::"

DEFECTS: Final = (
    Defect(
        name="reconciler-without-copy-check",
        file=_RECONCILER,
        old="lonely = [] if copies is None else [one for one in found if not _among(one, copies)]",
        new="lonely = found",
        caught_by=(f"{_RECONCILING}test_another_copy_in_the_queue_decides_and_not_its_dead_letter",),
        what="a command is rejected while a copy of its message is in the queue",
    ),
    Defect(
        name="reconciler-does-not-wait",
        file=_RECONCILER,
        old="return _is_free(key) and key.age_seconds > self.function_timeout + OVERDUE_SECONDS",
        new="return _is_free(key)",
        caught_by=(f"{_RECONCILING}test_a_key_that_is_too_young_is_left_and_the_cursor_waits_for_it",),
        what="a command is rejected while a delivery may be at work on it",
    ),
    Defect(
        name="reconciler-any-dead-letter",
        file=_RECONCILER,
        old="if record is None or record.queue != queue or record.request_hash != envelope.request_hash:",
        new="if record is None:",
        caught_by=(f"{_RECONCILING}test_a_dead_letter_of_another_request_touches_nothing",),
        what="a forger's dead letter ends the command of that id",
    ),
    Defect(
        name="reconciler-before-it-is-sent",
        file=_RECONCILER,
        old="        if await self.stores.outbox.lists(queue, command_id):\n            return _Verdict.DONE",
        new="        if False:\n            return _Verdict.DONE",
        caught_by=(f"{_RECONCILING}test_what_the_outbox_still_announces_is_to_come",),
        what="a command is rejected before its own message was sent",
    ),
    Defect(
        name="reconciler-cursor-never-begins-again",
        file=_RECONCILER,
        old="            if not page:\n                return report, 0\n",
        new="            if not page:\n                return report, reached\n",
        caught_by=(f"{_RECONCILING}test_the_cursor_begins_again_at_the_end_and_finds_what_came_to_lie_before_it",),
        what="a dead letter that came to lie before the cursor is never looked at",
    ),
    Defect(
        name="reconciler-runs-the-lane-s-retry",
        file=_FINISH,
        old="            is_last = reservation.is_last(key) or of.closing is not None\n",
        new="            is_last = reservation.is_last(key)\n",
        caught_by=(f"{_RECONCILING}test_a_message_that_the_broker_gave_up_ends_its_command",),
        what="a command that nobody will deliver again is left waiting for its next attempt",
    ),
    Defect(
        name="reconciler-takes-what-is-another-s",
        file=_RESERVE,
        old="    if stored is not None and owns(stored.value, of.token):\n        known, key = held(",
        new="    if stored is not None:\n        known, key = held(",
        caught_by=(f"{_RECONCILING}test_a_delivery_that_took_the_key_meanwhile_is_not_disturbed",),
        what="a command is rejected under a delivery that took its key over meanwhile",
    ),
    Defect(
        name="commands-not-followed",
        file=_ENQUEUE,
        old="            follow(self.stores.followed, command.queue, command.command_id, command.recorded_at),\n",
        new="            self.stores.outbox.lists(command.queue, command.command_id),\n",
        caught_by=(f"{_STUCK}test_wherever_the_api_dies_a_recorded_command_is_followed_listed_and_sent",),
        what="a command whose message is taken out of its queue is never found",
    ),
    Defect(
        name="hopeless-approvals-forgotten",
        file=_DUE,
        old="            await self._end_without_command(due, stored)\n",
        new="            await self.approvals.forget(due)\n",
        caught_by=(
            f"{_STUCK}test_a_conversation_whose_session_cannot_be_resumed_ends",
            f"{_DUES}test_the_review_of_what_no_command_could_end_waits_for_nobody",
        ),
        what="an approval that no command can end pends for ever, and its review with it",
    ),
    Defect(
        name="retention-ignores-open-reviews",
        file=_RETENTION,
        old="    return signal.requires_human_review and not signal.is_resolved\n",
        new="    return False\n",
        caught_by=(f"{_KEEPING}test_nothing_goes_of_a_command_that_is_not_final_or_has_an_open_review",),
        what="what a person has to look at is removed before anybody did",
    ),
    Defect(
        name="retention-removes-the-record-first",
        file=_RETENTION,
        old="        for signal in found:\n            if not await stores.aged.remove_signal(signal.value, signal.etag):\n",
        new="        await stores.aged.remove_command(command, stored.etag)\n"
        "        for signal in found:\n            if not await stores.aged.remove_signal(signal.value, signal.etag):\n",
        caught_by=(f"{_KEEPING}test_a_tick_that_fails_at_any_request_leaves_what_the_next_ones_remove",),
        what="a tick that dies leaves rows that nothing names any more",
    ),
)
