"""Defects of the delivery: what is recorded and reserved, counted, renewed, copied, waited for, and ended."""

from __future__ import annotations

from typing import Final

from tests.planted.defect import Defect

_GATING = "mosaic_core/services/delivery/gate.py"
_RESERVE = "mosaic_core/services/delivery/reserve.py"
_LANE = "mosaic_core/services/delivery/lane.py"
_FINISH = "mosaic_core/services/delivery/finish.py"
_ENDING = "mosaic_core/services/delivery/ending.py"
_TELLING = "mosaic_core/services/delivery/telling.py"
_STATES = "mosaic_core/services/delivery/states.py"
_DELIVER = "mosaic_core/services/deliver.py"
_LEASE = "mosaic_core/services/lease.py"
_RESERVATION = "mosaic_core/domain/reservation.py"
_OUTAGES = "tests/unit/test_delivery_outages.py::"
_COPIES = "tests/unit/test_delivery_copies.py::"
_ENDS = "tests/unit/test_delivery_ends.py::"
_UNIT = "tests/unit/test_deliver.py::"
_GATE = "tests/unit/test_delivery_recording.py::"
_CANCELLING = "tests/unit/test_cancelling.py::"
_LIVES = "tests/model/test_conformance.py::"
_RENEWALS = "tests/unit/test_lease.py::"

DEFECTS: Final = (
    # ------------------------------------------------------------------------------------------- recorded and reserved
    Defect(
        name="thirteen-hash-at-recording-skipped",
        file=_GATING,
        old="    if recorded.request_hash != envelope.request_hash:\n        return Mismatched(known)\n",
        new="",
        caught_by=(f"{_GATE}test_another_request_under_a_recorded_id_is_refused_whichever_comes_first",),
        what="a message takes the id of a command that the API has recorded otherwise",
    ),
    Defect(
        name="the-word-recorded-is-believed",
        file=_GATING,
        old="        return Unrecorded(known)\n",
        new='        told = known.of.message.properties.get("recorded")\n'
        "        return Admitted(known) if told else Unrecorded(known)\n",
        caught_by=(f"{_GATE}test_what_nobody_recorded_is_refused_and_leaves_the_id_to_the_command",),
        what="whoever may send to a queue acts in anybody's name",
    ),
    Defect(
        name="a-producer-takes-the-app-s-ids",
        file=_GATING,
        old="        or ids.is_derived(envelope.command_id)\n",
        new="",
        caught_by=(f"{_GATE}test_a_producer_cannot_take_an_id_that_the_app_will_use",),
        what="a night's sweep becomes the silent duplicate of somebody's batch",
    ),
    Defect(
        name="a-producer-s-time-is-believed",
        file=_GATING,
        old="    envelope = replace(envelope, created_at=min(max(claimed_at, first), last))\n",
        new="",
        caught_by=(f"{_GATE}test_a_producer_s_time_is_held_to_when_the_broker_took_it",),
        what="a choice made in the year 9998 stands for ever",
    ),
    Defect(
        name="lane-before-the-run-is-read",
        file=_RESERVE,
        old="    return Reserved(replace(known, run_was_there=True), key)\n",
        new='    return Owned(replace(known, run_was_there=True), key, Stored(new_run(known, attempt=1), ETag("")))\n',
        caught_by=(f"{_UNIT}test_a_purged_key_does_not_make_a_final_run_run_again",),
        what="a finished command runs again once its key has been purged",
    ),
    # ----------------------------------------------------------------------------------------------------- what counts
    Defect(
        name="outage-counts",
        file=_ENDING,
        old="    return LettingGo(at.known, at.by, at.doubt, Outage())\n",
        new="    return LettingGo(at.known, None, at.doubt, Outage())\n",
        caught_by=(f"{_OUTAGES}test_an_outage_inside_the_lane_excuses_the_attempt_and_releases_the_key",),
        what="a table that is away uses up a command's attempts",
    ),
    Defect(
        name="copy-tells-nothing-of-the-outage",
        file=_TELLING,
        old="    if untold:\n        marks[STORAGE_ENDED]",
        new="    if False:\n        marks[STORAGE_ENDED]",
        caught_by=(f"{_OUTAGES}test_what_the_key_cannot_be_told_the_copy_tells",),
        what="an attempt whose key could not be told makes a suspect, and then counts",
    ),
    Defect(
        name="excused-twice",
        file=_ENDING,
        old=" or reservation.is_released(stored.value):\n                return False",
        new=":\n                return False",
        caught_by=(f"{_OUTAGES}test_an_attempt_is_excused_once_whatever_answer_is_lost",),
        what="one lost answer excuses an attempt more than once: a command has more than five",
    ),
    Defect(
        name="silent-attempts-never-count",
        file=_RESERVATION,
        old="        solo = CONVICTED if key.solo else SUSPECTED",
        new="        solo = SUSPECTED\n        excused += 1",
        caught_by=(f"{_ENDS}test_a_process_killer_takes_only_itself",),
        what="a process killer is begun until the broker gives up",
    ),
    Defect(
        name="suspects-run-in-company",
        file=_RESERVE,
        old="        case reservation.Takeable(taken) if taken.solo and not of.place.is_alone:\n",
        new="        case reservation.Takeable(taken) if False:\n",
        caught_by=(f"{_ENDS}test_a_process_killer_takes_only_itself",),
        what="a process killer takes its neighbours along, five times",
    ),
    Defect(
        name="no-acquittal",
        file=_RESERVATION,
        old="    return replace(key, excused=key.excused + (key.solo == SUSPECTED), solo=IN_COMPANY)",
        new="    return replace(key, solo=IN_COMPANY)",
        caught_by=(f"{_ENDS}test_a_process_killer_takes_only_itself",),
        what="the neighbour of a process killer loses an attempt",
    ),
    Defect(
        name="six-attempts",
        file=_RESERVATION,
        old="is not None or counted(key) >= MAX_ATTEMPTS",
        new="is not None or counted(key) > MAX_ATTEMPTS",
        caught_by=(f"{_UNIT}test_five_failed_attempts_dead_letter",),
        what="a sixth attempt",
    ),
    Defect(
        name="cancelled-await-is-a-lost-lease",
        file=_LANE,
        old="    if task.cancelled() and cut.stopped:",
        new="    if task.cancelled():",
        caught_by=(f"{_COPIES}test_a_lane_whose_own_await_is_cancelled_has_failed",),
        what="a lane that a library cancels ends without a reason",
    ),
    # --------------------------------------------------------------------------------------------------- cancellations
    Defect(
        name="a-mark-found-runs-the-lane",
        file=_LANE,
        old="    if at.key.cancel_reason is not None:\n        return _cancelled(at)\n",
        new="",
        caught_by=(f"{_LIVES}test_wherever_an_operator_ends_it_the_life_is_one_of_the_model_s",),
        what="what an operator has ended runs again, where its worker had died",
    ),
    Defect(
        name="a-mark-cuts-an-effect",
        file=_LANE,
        old="            if not effects.begun:  # never an effect half done\n",
        new="            if True:\n",
        caught_by=(f"{_CANCELLING}test_one_whose_effect_is_written_goes_on_to_its_end_and_says_so",),
        what="a cancelled command leaves half of its effects",
    ),
    Defect(
        name="a-marked-failure-is-tried-again",
        file=_RESERVATION,
        old="    return key.cancel_reason is not None or counted(key)",
        new="    return counted(key)",
        caught_by=(f"{_LIVES}test_wherever_an_operator_ends_it_the_life_is_one_of_the_model_s",),
        what="a failure that an operator has ended waits for another attempt",
    ),
    Defect(
        name="told-of-a-mark-that-is-not-there",
        file="mosaic_core/services/operators/cancelling.py",
        old="that is not there\n                    continue\n",
        new="that is not there\n",
        caught_by=(f"{_CANCELLING}test_nobody_is_told_of_a_mark_that_lost_its_race",),
        what="an operator waits for an end that nobody will make",
    ),
    Defect(
        name="a-read-begins-an-effect",
        file="mosaic_core/services/effects_begun.py",
        old='    {"read", "named",',
        new='    {"read",',
        caught_by=(f"{_CANCELLING}test_whatever_a_lane_reads_it_can_still_be_stopped",),
        what="a lane that has only looked at its rows is not stopped any more",
    ),
    # ------------------------------------------------------------------------------------------------------- the lease
    Defect(
        name="thirteen-renewed-etag-not-followed",
        file=_LEASE,
        old="            self.etag, self._taken = etag, time.monotonic()",
        new="            self._taken = time.monotonic()",
        caught_by=(f"{_RENEWALS}test_the_etag_of_every_renewal_is_followed",),
        what="an owner loses the race for its key against itself",
    ),
    Defect(
        name="thirteen-renewal-without-answer-ends-the-lane",
        file=_LEASE,
        old="            if time.monotonic() - self._taken > self.key.lease_seconds:\n                self.lost",
        new="            if True:\n                self.lost",
        caught_by=(f"{_RENEWALS}test_a_renewal_that_finds_the_tables_away_is_tried_again_and_kills_nothing",),
        what="one unanswered renewal ends a lane that owns its key for twenty seconds more",
    ),
    Defect(
        name="thirteen-renewal-without-answer-is-the-last",
        file=_LEASE,
        old="        except Exception as error:\n            # refused,",
        new="        except Exception as error:\n            if not self.lost:\n"
        "                raise asyncio.CancelledError from error\n            # refused,",
        caught_by=(f"{_RENEWALS}test_a_renewal_that_finds_the_tables_away_is_tried_again_and_kills_nothing",),
        what="after one unanswered renewal the lease is never renewed again",
    ),
    Defect(
        name="live-leases-are-taken-over",
        file=_RESERVATION,
        old="    if lease_left > 0:",
        new="    if lease_left > 60:",
        caught_by=(f"{_UNIT}test_a_duplicate_in_progress_waits_for_the_lease",),
        what="two workers run one command at once",
    ),
    # ------------------------------------------------------------------------------------------------------ the copies
    Defect(
        name="thirteen-copy-loses-its-properties",
        file=_DELIVER,
        old="    return {FIRST_ENQUEUED: iso(message.enqueued_at), **kept, **settlement.marks}",
        new="    return {FIRST_ENQUEUED: str(kept.get(FIRST_ENQUEUED) or iso(message.enqueued_at)), **settlement.marks}",
        caught_by=(f"{_COPIES}test_a_copy_bears_what_the_message_bore",),
        what="a retry has lost household, trace and whether it is recorded",
    ),
    Defect(
        name="thirteen-first-enqueued-moves",
        file=_DELIVER,
        old="    return {FIRST_ENQUEUED: iso(message.enqueued_at), **kept, **settlement.marks}",
        new="    return {**kept, FIRST_ENQUEUED: iso(message.enqueued_at), **settlement.marks}",
        caught_by=(f"{_COPIES}test_a_copy_bears_what_the_message_bore",),
        what="nobody knows any more since when a command waits",
    ),
    Defect(
        name="completed-though-the-copy-was-not-sent",
        file=_DELIVER,
        old="            if nap <= 0:\n                return False\n",
        new="            if nap <= 0:\n                return True\n",
        caught_by=(f"{_COPIES}test_ten_deliveries_are_not_spent_in_an_instant",),
        what="a retry that could not be sent is lost",
    ),
    Defect(
        name="given-back-at-once",
        file=_DELIVER,
        old="        return min(self.limits.hold - hold.held, ",
        new="        return min(0.0, self.limits.hold - hold.held, ",
        caught_by=(
            f"{_COPIES}test_while_no_copy_can_be_sent_the_delivery_goes_on_in_place",
            f"{_COPIES}test_ten_deliveries_are_not_spent_in_an_instant",
        ),
        what="ten deliveries are spent in an instant",
    ),
    Defect(
        name="waits-by-the-worker-s-clock-alone",
        file=_STATES,
        old="        return max(self.worker.clock.now(), self.message.enqueued_at)",
        new="        return self.worker.clock.now()",
        caught_by=("tests/unit/test_delivery_clocks.py::test_no_wait_becomes_a_loop",),
        what="a worker whose clock is behind makes every wait a loop",
    ),
    Defect(
        name="the-day-counts-from-the-first-enqueueing",
        file=_ENDING,
        old="    return outage(of.message.properties, of.now())[1] >= STORE_GIVE_UP_SECONDS",
        new="    return (of.now() - of.message.enqueued_at).total_seconds() >= STORE_GIVE_UP_SECONDS",
        caught_by=(f"{_OUTAGES}test_a_backlog_is_not_given_up_by_the_first_hiccup",),
        what="the backlog of a weekend is given up by the first hiccup",
    ),
    Defect(
        name="what-is-given-up-runs-for-ever",
        file=_ENDING,
        old="        return await close(at, StoreUnreachableError.code, dead_letters.GIVEN_UP)",
        new="        return _given_up(at)",
        caught_by=(f"{_OUTAGES}test_what_is_given_up_has_an_end_as_far_as_storage_answers",),
        what="a dead letter whose run is Running and whose key is Reserved",
    ),
    # --------------------------------------------------------------------------------------------------------- the end
    Defect(
        name="broken-steps-are-not-counted",
        file=_ENDING,
        old='"step_failed", in_doubt=in_doubt, **{FAILED_STEPS: failed})',
        new='"step_failed", in_doubt=in_doubt)',
        caught_by=(f"{_ENDS}test_a_run_row_that_cannot_be_read_ends_the_command_told",),
        what="a row that cannot be read goes round for ever",
    ),
    Defect(
        name="thirteen-publisher-that-raises",
        file=_TELLING,
        old='    except Exception:\n        log.warning("an event could not be published"',
        new='    except ZeroDivisionError:\n        log.warning("an event could not be published"',
        caught_by=(f"{_COPIES}test_a_publisher_that_raises_neither_fails_nor_delays_a_command",),
        what="a finished command fails because of its telemetry",
    ),
    Defect(
        name="commit-before-the-run",
        file=_FINISH,
        old="    return Staged(known, at.held, at.run, at.result)",
        new="    return Final(known, at.held, at.run.value)  # type: ignore[return-value]",
        caught_by=(f"{_UNIT}test_success",),
        what="a key that is Completed before its run is",
    ),
    Defect(
        name="drains-count",
        file=_LANE,
        old="            return LettingGo(known, at.held, False, Draining())\n",
        new="            return LettingGo(known, None, False, Draining())\n",
        caught_by=(f"{_UNIT}test_a_drain_ends_a_lane_without_counting_the_attempt",),
        what="five deployments reject a command",
    ),
    Defect(
        name="first-reason-forgotten",
        file=_RESERVATION,
        old="        return AlreadyRejected(first=key.sequence_number == sequence_number)",
        new="        return AlreadyRejected(first=False)",
        caught_by=(f"{_UNIT}test_a_rejected_key_refuses_other_messages_and_repeats_its_first_reason",),
        what="a dead letter whose reason is not why the command failed",
    ),
    Defect(
        name="refusal-without-its-signal",
        file=_DELIVER,
        old="        for _ in range(MAX_UNANSWERED):\n            try:\n                await self.stores.signals.insert(signal)",
        new="        for _ in range(1):\n            try:\n                raise StoreUnreachableError('')",
        caught_by=(f"{_OUTAGES}test_poison_keeps_its_signal_through_unanswered_requests",),
        what="poison that nobody is told of",
    ),
    Defect(
        name="attempt-ends-before-its-threads",
        file="mosaic_core/services/threads.py",
        old="        left = {asyncio.wrap_future(future) for future in tuple(self._begun)}",
        new="        left = set[asyncio.Future[Any]]()",
        caught_by=("tests/unit/test_threads.py::test_no_attempt_begins_beside_the_thread_of_one_before_it",),
        what="the threads of five attempts burn beside one another",
    ),
    Defect(
        name="whole-lane-waits-within-its-invocation",
        file="mosaic_core/entrypoints/queues.py",
        old="        if gate.locked() and waiting >= WAITERS:\n            return False\n",
        new="",
        caught_by=(
            "tests/unit/test_queues.py::test_what_would_wait_too_long_within_its_invocation_goes_back_to_the_queue",
        ),
        what="deliveries outlive the host's limit within a queue of their own, and the host kills the worker",
    ),
)
