"""Defects around the delivery: what is recorded, listed and sent; the timers; events; and what a process does at once."""

from __future__ import annotations

from typing import Final

from tests.planted.defect import Defect

_ENQUEUE = "mosaic_core/services/enqueue.py"
_DISPATCH = "mosaic_core/services/dispatch.py"
_OUTBOX = "mosaic_core/services/outbox.py"
_NIGHTLY = "mosaic_core/services/nightly.py"
_DUE = "mosaic_core/services/approvals_due.py"
_READS = "mosaic_core/services/read_models.py"
_EVENTS = "mosaic_core/adapters/eventhubs.py"
_STORES = "mosaic_core/adapters/tables/stores.py"
_COMPANY = "mosaic_core/services/company.py"
_COMPUTING = "mosaic_core/computing.py"
_BODY = "mosaic_core/domain/body.py"
_ENQUEUEING = "tests/unit/test_enqueue.py::"
_UNSENT = "tests/unit/test_outbox.py::"
_NIGHTS = "tests/unit/test_nightly.py::"
_DUES = "tests/unit/test_approvals_due.py::"
_WAITING = "mosaic_core/services/waiting.py"
_WAITS = "tests/unit/test_waiting.py::"
_PUBLISHING = "tests/unit/test_eventhubs.py::"
_READING = "tests/unit/test_http_reading.py::"
_TABLES = "tests/unit/test_table_stores.py::"
_PLACES = "tests/unit/test_company.py::"
_THREADS = "tests/unit/test_computing.py::"
_COPIES = "tests/unit/test_delivery_copies.py::"
_LANE = "mosaic_core/services/delivery/lane.py"
_TELLING = "mosaic_core/services/delivery/telling.py"
_TOLD = "mosaic_core/adapters/told.py"
_WATCH = "mosaic_core/services/lanes_watch.py"
_BUS = "mosaic_core/adapters/servicebus.py"

_LISTING = """\
    # by the recorded time, so that however often this is done each list has one row
    listing = stores.commands.list_recorded(command)
    if conversation_id is None:
        await listing
    else:
        in_conversation = stores.commands.index_conversation(
            command.household_id, conversation_id, command.recorded_at, command.queue, command.command_id
        )
        await together(listing, in_conversation)
"""
_SENDING = "    await sender.send(recorded.message(properties))\n"
_ANNOUNCING = "            announced = await self._announce(command)\n"
_SIGNAL_LISTED = """\
        # first, so that a signal is never without them; one that points at no signal, or at another's, is skipped
        await each(_lists_of(signal), lambda place: self._tables.insert(INDEX, *place, _listed_row(signal)))
"""
_SIGNAL_WRITTEN = 'await self._tables.insert(SIGNALS, encode(signal.signal_id), "signal", row)\n'

DEFECTS: Final = (
    # --------------------------------------------------------------------------------------------- recorded and sent
    Defect(
        name="thirteen-sent-before-it-is-listed",
        file=_DISPATCH,
        old=_LISTING + _SENDING,
        new=_SENDING + _LISTING,
        caught_by=(f"{_ENQUEUEING}test_a_command_is_listed_before_it_is_sent",),
        what="a command runs that its conversation does not show",
    ),
    Defect(
        name="thirteen-failed-listing-ignored",
        file=_DISPATCH,
        old=_LISTING,
        new=_LISTING.replace(
            "        await together",
            "        import contextlib\n\n        with contextlib.suppress(Exception):\n          await together",
        ),
        caught_by=(f"{_ENQUEUEING}test_a_failed_listing_sends_nothing_and_leaves_the_command_to_the_timer",),
        what="a command that could not be listed is sent all the same",
    ),
    Defect(
        name="an-event-makes-a-failure-of-a-sent-command",
        file=_DISPATCH,
        old="    except Exception as error:  # the command is sent",
        new="    except KeyError as error:  # the command is sent",
        caught_by=(f"{_ENQUEUEING}test_a_publisher_that_raises_makes_no_failure_of_a_sent_command",),
        what="a client is told that its command failed, and it runs",
    ),
    Defect(
        name="thirteen-listed-by-its-own-time",
        file=_ENQUEUE,
        old="                command = there\n",
        new="                import dataclasses\n\n                command = dataclasses.replace(there, recorded_at=now)\n",
        caught_by=(f"{_ENQUEUEING}test_a_repetition_is_listed_by_the_time_at_which_it_was_recorded",),
        what="one command is listed once for each time that its client repeats it",
    ),
    Defect(
        name="recorded-before-it-is-announced",
        file=_ENQUEUE,
        old=_ANNOUNCING + "            if not await self.stores.commands.insert(command):\n",
        new="            inserted = await self.stores.commands.insert(command)\n"
        + _ANNOUNCING
        + "            if not inserted:\n",
        caught_by=(f"{_ENQUEUEING}test_without_an_entry_nothing_is_recorded",),
        what="an API that dies leaves a command that nobody sends",
    ),
    Defect(
        name="withdrawn-before-it-is-sent",
        file=_ENQUEUE,
        old="            recorded = Recorded.of(command)\n            await dispatch(",
        new="            recorded = Recorded.of(command)\n            await self._withdraw(announced)\n            await dispatch(",
        caught_by=(f"{_ENQUEUEING}test_a_failed_listing_sends_nothing_and_leaves_the_command_to_the_timer",),
        what="a command that was recorded and not sent is never sent",
    ),
    Defect(
        name="its-own-recording-withdraws-an-entry",
        file=_ENQUEUE,
        old="                if there.recorded_at != command.recorded_at:",
        new="                if there:",
        caught_by=(f"{_ENQUEUEING}test_a_recording_whose_lost_answer_says_that_it_was_there_keeps_its_entry",),
        what="one lost answer, and the timer knows nothing of a command that is not sent",
    ),
    Defect(
        name="repetitions-leave-a-trail",
        file=_ENQUEUE,
        old="                if there.recorded_at != command.recorded_at:",
        new="                if not there:",
        caught_by=(f"{_ENQUEUEING}test_a_client_that_repeats_itself_through_an_outage_leaves_one_entry",),
        what="a client that repeats itself through an outage leaves an entry each time",
    ),
    Defect(
        name="the-rejected-is-sent-again",
        file=_ENQUEUE,
        old="                if rejected is not None:\n",
        new="                if False:\n",
        caught_by=(f"{_ENQUEUEING}test_a_repetition_of_a_rejected_command_is_told_so_and_sends_nothing",),
        what="a repetition of a rejected command is accepted, and one more dead letter",
    ),
    Defect(
        name="another-request-under-an-id",
        file=_ENQUEUE,
        old="there.request_hash != command.request_hash and not draft.first_request_stands:",
        new="False:",
        caught_by=(f"{_ENQUEUEING}test_a_conflict_leaves_no_entry",),
        what="a client is told that its request runs, and another one does",
    ),
    # ------------------------------------------------------------------------------------------------------ the outbox
    Defect(
        name="the-timer-sends-what-was-begun",
        file=_OUTBOX,
        old="        if await self._was_begun(command):\n",
        new="        if False:\n",
        caught_by=(f"{_UNSENT}test_a_command_that_a_worker_has_had_is_not_sent_again",),
        what="a command that was rejected is sent again by the timer",
    ),
    Defect(
        name="the-timer-forgets-what-is-not-there-yet",
        file=_OUTBOX,
        old="        if now - entry.announced_at >= ABSENT_FOR:\n",
        new="        if now >= entry.announced_at:\n",
        caught_by=(f"{_UNSENT}test_a_command_that_was_recorded_late_is_sent",),
        what="a slow API's command is recorded and never sent",
    ),
    Defect(
        name="the-timer-sends-what-is-too-old",
        file=_OUTBOX,
        old="        if now - entry.announced_at >= REFUSED_AFTER:\n            await self._refuse(stored, household",
        new="        if False:\n            await self._refuse(stored, household",
        caught_by=(f"{_UNSENT}test_a_command_older_than_its_key_would_live_goes_to_a_person_and_not_to_a_worker",),
        what="a command of last month runs, maybe for the second time",
    ),
    Defect(
        name="the-timer-puts-back-by-removing-first",
        file=_OUTBOX,
        old="        await self.stores.outbox.insert(by)\n        await self.stores.outbox.remove(stored.value, stored.etag)",
        new="        await self.stores.outbox.remove(stored.value, stored.etag)\n        await self.stores.outbox.insert(by)",
        caught_by=(f"{_UNSENT}test_a_tick_that_dies_or_hears_nothing_loses_neither_the_command_nor_its_signal",),
        what="a timer that dies forgets a command that is not sent",
    ),
    Defect(
        name="the-timer-forgets-before-it-resolves",
        file=_OUTBOX,
        old="        if entry.tries:\n            await self._resolve(entry)\n        await self.stores.outbox.remove(entry, stored.etag)\n",
        new="        await self.stores.outbox.remove(entry, stored.etag)\n        if entry.tries:\n            await self._resolve(entry)\n",
        caught_by=(f"{_UNSENT}test_a_tick_that_dies_or_hears_nothing_loses_neither_the_command_nor_its_signal",),
        what="a command that was sent is told as unsent for ever",
    ),
    Defect(
        name="the-timer-blames-commands-for-an-outage",
        file=_OUTBOX,
        old="counts=any_went_through)",
        new="counts=True)",
        caught_by=(f"{_UNSENT}test_an_outage_stops_the_tick_and_accuses_no_command",),
        what="an outage raises a signal for each command that waits",
    ),
    Defect(
        name="the-timer-hammers-what-is-away",
        file=_OUTBOX,
        old="                if in_a_row == _IN_A_ROW:\n",
        new="                if False:\n",
        caught_by=(f"{_UNSENT}test_an_outage_stops_the_tick_and_accuses_no_command",),
        what="a broker that is away is asked for each command that waits",
    ),
    # ---------------------------------------------------------------------------------------------------------- events
    Defect(
        name="publishing-raises",
        file=_EVENTS,
        old="        except Exception as error:  # telemetry must not fail a command, whatever happens in here",
        new="        except KeyError as error:",
        caught_by=(f"{_PUBLISHING}test_a_publisher_that_cannot_even_take_the_event_says_so_and_raises_nothing",),
        what="a finished command fails because of its telemetry",
    ),
    Defect(
        name="an-event-that-cannot-be-encoded-stops-the-others",
        file=_EVENTS,
        old="        except Exception as error:  # whatever it is, the next",
        new="        except (TypeError, ValueError) as error:  # whatever it is, the next",
        caught_by=(f"{_PUBLISHING}test_whatever_is_published_raises_nothing_and_stops_no_other_event",),
        what="one event ends all telemetry of the process",
    ),
    Defect(
        name="one-partition-stops-all-events",
        file=_EVENTS,
        old="            if any_sent:\n                for household",
        new="            if False:\n                for household",
        caught_by=(f"{_PUBLISHING}test_one_household_s_partition_stops_no_other_s_events",),
        what="one household's partition that takes nothing stops everyone's telemetry",
    ),
    Defect(
        name="events-are-held-for-ever",
        file=_EVENTS,
        old="            elif now - held.since >= self._held_seconds:\n",
        new="            elif False:\n",
        caught_by=(f"{_PUBLISHING}test_a_household_s_events_are_held_for_a_bounded_time_and_in_bounded_number",),
        what="a partition that is gone keeps its household's events in memory for ever",
    ),
    # -------------------------------------------------------------------------------------------------------- the night
    Defect(
        name="one-household-stops-the-night",
        file=_NIGHTLY,
        old="        except Exception as error:\n            return _Failed(household_id, night, error)\n        return None\n",
        new="        except ZeroDivisionError as error:\n            return _Failed(household_id, night, error)\n        return None\n",
        caught_by=(f"{_NIGHTS}test_a_household_that_cannot_be_enqueued_stops_nobody",),
        what="a household that cannot be enqueued stops the sweeps of all behind it, every night",
    ),
    Defect(
        name="who-is-left-behind-is-forgotten",
        file=_NIGHTLY,
        old="cursor=page[-1], left_behind=left)",
        new="cursor=page[-1])",
        caught_by=(f"{_NIGHTS}test_a_household_that_cannot_be_enqueued_stops_nobody",),
        what="a household misses its sweep, and nobody tries again",
    ),
    Defect(
        name="an-outage-accuses-households",
        file=_NIGHTLY,
        old="                if self._is_an_outage(page, failed, is_newest=night == due):\n",
        new="                if False:\n",
        caught_by=(f"{_NIGHTS}test_an_outage_stops_the_tick_and_accuses_no_household",),
        what="an outage raises a signal for each household",
    ),
    Defect(
        name="a-sweep-that-was-made-good-stays-open",
        file=_NIGHTLY,
        old="            await store.update(resolved, there.etag)\n",
        new="            assert resolved\n",
        caught_by=(f"{_NIGHTS}test_a_tick_that_died_after_a_retry_resolves_the_signal_the_next_time",),
        what="a person looks for a sweep that has long been done",
    ),
    # --------------------------------------------------------------------------------------------------- approvals' time
    Defect(
        name="one-approval-stops-all-that-are-due",
        file=_DUE,
        old="        except Exception:\n            log.exception(",
        new="        except ZeroDivisionError:\n            log.exception(",
        caught_by=(f"{_DUES}test_one_household_that_cannot_be_enqueued_stops_nobody_and_is_told_of",),
        what="one approval that cannot be ended keeps all others open",
    ),
    Defect(
        name="an-outage-puts-approvals-off",
        file=_DUE,
        old="        except TransientError as error:\n            # it stays",
        new="        except ZeroDivisionError as error:\n            # it stays",
        caught_by=(f"{_DUES}test_an_outage_puts_nothing_off_and_raises_no_signal",),
        what="an outage raises a signal for each approval that is due",
    ),
    Defect(
        name="an-approval-is-ended-by-one-command-at-most",
        file=_DUE,
        old="generation=generation + 1)",
        new="generation=generation)",
        caught_by=(f"{_DUES}test_a_command_that_was_rejected_has_successors_for_ten_days",),
        what="an approval whose command was rejected once stays pending for ever",
    ),
    Defect(
        name="what-is-soon-over-is-told-once-or-never",
        file=_DUE,
        old="        elif await hub.takes(notices.approval_expiring(approval)):\n",
        new="        elif await hub.takes(notices.approval_expiring(approval)) or True:\n",
        caught_by=(f"{_DUES}test_what_the_hub_did_not_take_is_told_again_until_it_does",),
        what="a hub that was away for a moment keeps from a person that an approval is soon over",
    ),
    Defect(
        name="a-hub-that-is-away-is-waited-for-by-each",
        file=_DUE,
        old="        self._is_away = self._is_away or not taken\n",
        new="",
        caught_by=(f"{_DUES}test_a_hub_that_is_away_is_waited_for_once_in_a_tick",),
        what="a tick lasts minutes while the hub is away",
    ),
    # ------------------------------------------------------------------------------------------------- who waits is told
    Defect(
        name="a-wait-looks-at-no-tag",
        file=_WAITING,
        old="        news = not is_same_tag(seen, first) if seen else found.is_news\n",
        new="        news = found.is_news\n",
        caught_by=(f"{_WAITS}test_what_changed_between_two_calls_is_told_at_once",),
        what="a change between two polls is told only with the next one",
    ),
    Defect(
        name="a-place-to-wait-in-is-never-free-again",
        file=_WAITING,
        old="            self._taken[household_id] -= 1\n",
        new="            self._taken[household_id] -= 0\n",
        caught_by=(f"{_WAITS}test_a_caller_who_goes_away_frees_the_place",),
        what="after a few calls nobody can wait any more",
    ),
    Defect(
        name="a-wait-outlives-the-drain",
        file=_WAITING,
        old="                await self.drain.pause(self.sleep(min(pause, left)))\n",
        new="                await self.sleep(min(pause, left))\n",
        caught_by=(f"{_WAITS}test_a_drain_ends_every_wait_at_once_with_what_there_is",),
        what="a worker that is to end waits for who waits",
    ),
    # --------------------------------------------------------------------------------------------------- what is read
    Defect(
        name="a-command-that-is-listed-twice-shows-twice",
        file=_READS,
        old="                if run_id in seen:",
        new="                if run_id in ():",
        caught_by=(f"{_READING}test_a_command_that_is_listed_at_two_places_has_one_run",),
        what="a conversation shows one run many times",
    ),
    Defect(
        name="a-stream-reads-without-end",
        file=_READS,
        old="STREAM_LOOKED_AT: Final = 200\n",
        new="STREAM_LOOKED_AT: Final = 2_000_000\n",
        caught_by=(f"{_READING}test_the_stream_reads_a_bounded_number_of_rows",),
        what="a poll reads all that was ever said in a conversation",
    ),
    Defect(
        name="nobody-s-expiry-is-no-expiry",
        file="mosaic_core/services/approval_pages.py",
        old="status in (None, status_of(stored.value, now))",
        new="status in (None, stored.value.status)",
        caught_by=(f"{_READING}test_approvals_by_their_state_now",),
        what="an approval whose time is over is in no list at all until a worker has noticed",
    ),
    # ------------------------------------------------------------------------------------------------- rows and lists
    Defect(
        name="thirteen-signal-listed-after-its-row",
        file=_STORES,
        old=_SIGNAL_LISTED + "        written = " + _SIGNAL_WRITTEN,
        new="        written = " + _SIGNAL_WRITTEN + _SIGNAL_LISTED,
        caught_by=(f"{_TABLES}test_a_signals_index_rows_come_before_the_row",),
        what="a run that asks for a person shows no signal",
    ),
    Defect(
        name="a-signal-opened-while-it-is-resolved-is-off-the-list",
        file=_STORES,
        old="""\
            # whoever resolved it before may have taken the row away meanwhile
            await self._tables.insert(INDEX, *place, _listed_row(signal))
""",
        new="            pass\n",
        caught_by=(f"{_TABLES}test_who_resolves_and_who_reopens_at_once_leave_an_open_signal_listed",),
        what="a command that fails again is on no operator's list",
    ),
    Defect(
        name="a-row-is-taken-off-the-list-unseen",
        file=_STORES,
        old="not stored.value.is_resolved and _open_place(stored.value) == place:",
        new="False:",
        caught_by=(f"{_TABLES}test_who_takes_a_row_off_the_list_looks_whether_the_signal_was_opened_meanwhile",),
        what="a command that fails again is on no operator's list",
    ),
    Defect(
        name="an-operator-is-shown-what-was-asked-for",
        file="mosaic_core/services/operators/record_views.py",
        old="summary=signal.summary if signal.signal_code in TECHNICAL else None,",
        new="summary=signal.summary,",
        caught_by=("tests/unit/test_ops_routes.py::test_a_run_of_any_household_without_a_word_of_it",),
        what="an operator reads what is a household's own",
    ),
    Defect(
        name="a-resolution-over-anothers",
        file="mosaic_core/services/operators/review_queue.py",
        old="if (there.resolved_by, there.resolution_note) != (by[:120], note[:500]):",
        new="if False:",
        caught_by=("tests/unit/test_ops_routes.py::test_a_signal_is_resolved_once_with_a_name_and_a_note",),
        what="whose word stands on a signal cannot be told",
    ),
    Defect(
        name="settled-approvals-stay-listed",
        file=_STORES,
        old="        if approval.settled_at is not None:\n",
        new="        if False:\n",
        caught_by=("tests/contract/test_stores.py::test_a_poll_reads_what_is_pending_and_no_more",),
        what="a poll reads every approval that the household ever had",
    ),
    Defect(
        name="an-approval-is-listed-after-its-row",
        file=_STORES,
        old="""\
        await together(
            self._tables.insert_all(INDEX, _approvals_of(approval.household_id), listed),
            self._list_due(record_rows.first_due(approval)),
        )
        return await self._tables.insert(APPROVALS, *_approval_keys(approval), row)
""",
        new="""\
        written = await self._tables.insert(APPROVALS, *_approval_keys(approval), row)
        await together(
            self._tables.insert_all(INDEX, _approvals_of(approval.household_id), listed),
            self._list_due(record_rows.first_due(approval)),
        )
        return written
""",
        caught_by=(f"{_TABLES}test_an_approval_that_is_there_is_listed_and_will_be_due",),
        what="an approval that nobody is shown, and that no time ends",
    ),
    Defect(
        name="what-is-put-off-is-forgotten-first",
        file=_STORES,
        old="        await self._list_due(later)\n        await self._remove(*_due_keys(due))\n",
        new="        await self._remove(*_due_keys(due))\n        await self._list_due(later)\n",
        caught_by=(f"{_TABLES}test_what_is_put_off_is_due_whichever_request_fails",),
        what="a tick that dies forgets an approval that is to end",
    ),
    Defect(
        name="all-households-are-marked-in-one-partition",
        file=_STORES,
        old='        partition = join("active", mark[0], _shard(household_id))\n',
        new='        partition = join("active", mark[0])\n',
        caught_by=(f"{_TABLES}test_marks_of_one_month_do_not_queue_at_one_partition",),
        what="every ingestion waits for one partition",
    ),
    Defect(
        name="marks-of-earlier-versions-are-not-read",
        file=_STORES,
        old='        partitions = [join("active", month), *(join("active", month, shard) for shard in ACTIVE_SHARDS)]\n',
        new='        partitions = [join("active", month, shard) for shard in ACTIVE_SHARDS]\n',
        caught_by=(f"{_TABLES}test_active_households_are_ascending_and_exact_over_old_and_new_marks",),
        what="after a deployment a household is not swept until it ingests again",
    ),
    Defect(
        name="a-mark-counts-before-it-is-written",
        file=_STORES,
        old="""\
        await self._tables.insert(INDEX, partition, encode(household_id), {"HouseholdId": household_id})
        self._marked[mark] = None  # only now: a mark without an answer is made again
""",
        new="""\
        self._marked[mark] = None
        await self._tables.insert(INDEX, partition, encode(household_id), {"HouseholdId": household_id})
""",
        caught_by=(f"{_TABLES}test_a_mark_without_an_answer_is_made_again",),
        what="a household whose mark was lost is not swept for a month",
    ),
    # ---------------------------------------------------------------------------------------------------- one process
    Defect(
        name="a-suspect-waits-for-nobody",
        file=_COMPANY,
        old="                    await self._empty.wait()\n",
        new="                    self._empty.is_set()\n",
        caught_by=(f"{_PLACES}test_a_suspect_waits_until_the_others_have_left_and_lets_nobody_in",),
        what="a process killer takes its neighbours along",
    ),
    Defect(
        name="neighbours-enter-beside-a-suspect",
        file=_COMPANY,
        old="                self._open.clear()\n",
        new="",
        caught_by=(f"{_PLACES}test_a_suspect_waits_until_the_others_have_left_and_lets_nobody_in",),
        what="a process killer takes its neighbours along",
    ),
    Defect(
        name="a-suspect-that-gives-up-keeps-the-door-shut",
        file=_COMPANY,
        old="                except BaseException:\n                    self._opened()\n",
        new="                except BaseException:\n",
        caught_by=(f"{_PLACES}test_a_suspect_that_gives_up_waiting_opens_the_door_again",),
        what="a worker that works on nothing any more",
    ),
    Defect(
        name="threads-outlive-their-attempt",
        file=_COMPUTING,
        old="    except asyncio.CancelledError:\n        stopped.set()\n",
        new="    except asyncio.CancelledError:\n",
        caught_by=(f"{_THREADS}test_a_cancelled_attempts_thread_ends_with_it",),
        what="five attempts compute beside one another",
    ),
    Defect(
        name="long-computations-look-at-their-beginning-only",
        file=_COMPUTING,
        old="        if number % _EVERY == 0:\n",
        new="        if number == 0:\n",
        caught_by=(f"{_THREADS}test_every_long_computation_looks_every_few_hundred_rows",),
        what="a large ledger is computed on after its attempt's end",
    ),
    Defect(
        name="a-body-may-inflate-without-end",
        file=_BODY,
        old="        whole = reader.decompress(body, MOST_BYTES)\n",
        new="        whole = reader.decompress(body)\n",
        caught_by=(f"{_COPIES}test_what_is_no_deflated_body_stays_as_it_is",),
        what="a message of 200 KB takes the memory of the process",
    ),
    Defect(
        name="half-a-body-is-a-body",
        file=_BODY,
        old="    if not reader.eof:\n",
        new="    if False:\n",
        caught_by=(f"{_COPIES}test_what_is_no_deflated_body_stays_as_it_is",),
        what="a body that was cut off is read as far as it goes",
    ),
    Defect(
        name="a-body-is-deflated-twice",
        file=_BODY,
        old="    if properties.get(ENCODING) == DEFLATE:\n",
        new="    if False:\n",
        caught_by=(f"{_COPIES}test_a_deflated_body_is_the_same_again",),
        what="the copy of a copy is poison",
    ),
    # ------------------------------------------------------------------------------------------- what alerts rely on
    Defect(
        name="an-attempt-begins-untold",
        file=_LANE,
        old='        log.info("attempt started", extra=',
        new='        log.debug("attempt started", extra=',
        caught_by=("tests/unit/test_delivery_told.py::test_every_attempt_that_starts_is_told_and_has_an_end",),
        what="no failure rate, and a stalled key is seen by nobody",
    ),
    Defect(
        name="a-signal-is-told-that-was-not-written",
        file=_TOLD,
        old="""\
        written = await self._store.insert(signal)
        if written is not None:
""",
        new="""\
        written = await self._store.insert(signal)
        if True:
""",
        caught_by=("tests/unit/test_told.py::test_what_was_not_written_is_not_told",),
        what="each repetition of a step raises the review queue's alert",
    ),
    Defect(
        name="a-queue-that-is-away-hides-the-others",
        file=_WATCH,
        old="        except QueueUnavailableError as error:\n",
        new="        except ZeroDivisionError as error:\n",
        caught_by=("tests/unit/test_lanes_watch.py::test_a_queue_that_does_not_answer_hides_no_other",),
        what="one queue without an answer looks like an app that stands still",
    ),
    Defect(
        name="a-copy-for-later-is-the-oldest-message",
        file=_WATCH,
        old='if message.state == "active"',
        new='if message.state != "deferred"',
        caught_by=(
            "tests/contract/test_messaging_view.py::test_the_oldest_that_is_due_counts_whoever_is_at_work_on_it",
        ),
        what="a command that waits for its retry is told as a lane that stands still",
    ),
    Defect(
        name="a-command-that-storage-ended-ends-untold",
        file=_TELLING,
        old='    log.error("command rejected", extra={"attempt": at.attempt, "code": code, "rationale": rationale})\n',
        new="",
        caught_by=("tests/unit/test_delivery_told.py::test_a_command_that_storage_ends_is_told_as_rejected",),
        what="a dead letter without a line, and a stalled key that is none",
    ),
    Defect(
        name="a-forgotten-pause-alarms-nobody",
        file=_WATCH,
        old='"overdue": lasted > self.pause_alert',
        new='"overdue": False',
        caught_by=("tests/unit/test_pauses.py::test_a_pause_that_lasts_longer_than_the_setting_is_told_as_overdue",),
        what="a lane stays paused for days, and no alert tells",
    ),
    Defect(
        name="two-take-the-last-two-members-out",
        file="mosaic_core/services/operators/members.py",
        old="        await self._look_again(there, after, written)\n",
        new="",
        caught_by=(
            "tests/unit/test_member_changes.py::test_two_who_take_the_last_two_out_at_once_do_not_both_succeed",
        ),
        what="a household whose approvals nobody can decide any more",
    ),
    Defect(
        name="a-replayed-failure-asks-for-a-person-for-ever",
        file="mosaic_core/services/replay/sending.py",
        old="            await self._close_signals(replay_of, one, verdict.command_id)\n",
        new="",
        caught_by=("tests/unit/test_replay.py::test_what_asked_for_a_person_because_the_original_failed_asks_no_more",),
        what="the review queue fills with what was mended long ago",
    ),
    Defect(
        name="an-exceptions-text-is-exported",
        file="mosaic_core/telemetry.py",
        old='str(error) if isinstance(error, MosaicError) else "(its text is not told)"',
        new="str(error)",
        caught_by=(
            "tests/unit/test_telemetry.py::TestTextsOfExceptions::test_no_log_record_holds_an_exceptions_own_text",
        ),
        what="what a household said is in the logs of a deployment",
    ),
)
