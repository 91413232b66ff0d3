"""Defects of storage: preconditions, keys, what an answer means, what a row holds, what a household may read."""

from __future__ import annotations

from typing import Final

from tests.planted.defect import Defect

_CLIENT = "mosaic_core/adapters/tables/table_client.py"
_WRITES = "mosaic_core/adapters/tables/writes.py"
_STORES = "mosaic_core/adapters/tables/stores.py"
_ROWS = "mosaic_core/adapters/record_rows.py"
_KEYS = "mosaic_core/adapters/tables/keys.py"
_READS = "mosaic_core/services/read_models.py"
_SUITE = "tests/contract/test_stores.py::"
_FAULTS = "tests/contract/test_stores_faults.py::"
_READING = "tests/unit/test_http_reading.py::"

DEFECTS: Final = (
    # -------------------------------------------------------------------------------------------------- preconditions
    Defect(
        name="etag-ignored",
        file=_WRITES,
        old='{"If-Match": etag}',
        new='{"If-Match": "*"}',
        caught_by=(_SUITE + "test_an_update_wins_once_and_a_stale_etag_loses", _SUITE + "test_of_two_writers_one_wins"),
        what="two deliveries own one command",
    ),
    Defect(
        name="etag-star-accepted",
        file=_CLIENT,
        old='        if not etag or etag == "*":\n            raise ValueError("an update',
        new='        if not etag:\n            raise ValueError("an update',
        caught_by=(_SUITE + "test_no_unconditional_update_over_the_wire",),
        what="a row is overwritten whatever it says by now",
    ),
    Defect(
        name="insert-replaces",
        file=_WRITES,
        old='        answer = await self._requests.send("POST", "", headers, body, done=_WRITTEN, retry_on_methods=_POST)',
        new="""        address = f"(PartitionKey='{partition}',RowKey='{row_key}')"
        answer = await self._requests.send("PUT", address, headers, body, done=_WRITTEN)""",
        caught_by=(_SUITE + "test_a_second_insert_loses_and_changes_nothing",),
        what="a duplicate takes the key from the delivery that owns it",
    ),
    Defect(
        name="transaction-replaces",
        file=_CLIENT,
        old="TransactionOperation.CREATE",
        new="TransactionOperation.UPSERT",
        caught_by=(_SUITE + "test_stages_of_an_attempt_are_written_all_or_none",),
        what="a late writer replaces the stages of an attempt that has ended",
    ),
    Defect(
        name="memory-ignores-etags",
        file="mosaic_ops/memory/stores.py",
        old="there is not None and there.etag == etag else None",
        new="there is not None else None",
        caught_by=(_SUITE + "test_an_update_wins_once_and_a_stale_etag_loses",),
        what="the tests' stores promise less than the real ones",
    ),
    # ------------------------------------------------------------------------------------------- what an answer means
    Defect(
        name="row-that-is-gone-is-an-error",
        file=_CLIENT,
        old="    return status == 412 or _is_gone(status, code)",
        new="    return status == 412",
        caught_by=(_FAULTS + "test_an_update_of_a_row_that_is_gone_is_a_lost_race",),
        what="a key that was deleted by hand ends the delivery in a bug",
    ),
    Defect(
        name="missing-table-is-a-missing-row",
        file=_CLIENT,
        old='    return status == 404 and code != "TableNotFound"',
        new="    return status == 404",
        caught_by=(_FAULTS + "test_a_table_that_is_missing_is_no_row_that_is_gone",),
        what="a deployment without tables takes every command for new",
    ),
    Defect(
        name="any-conflict-is-a-row-that-is-there",
        file=_CLIENT,
        old='    return code == "EntityAlreadyExists"',
        new="    return _status == 409",
        caught_by=(_FAULTS + "test_a_conflict_of_another_kind_is_no_lost_race",),
        what="a table that is being deleted looks like a duplicate",
    ),
    Defect(
        name="a-failing-service-is-a-bug",
        file=_CLIENT,
        old="    if status >= 500 or status in _AGAIN or code in _PASSING:",
        new="    if status in _AGAIN or code in _PASSING:",
        caught_by=(_FAULTS + "test_no_usable_answer_is_unreachable",),
        what="an outage counts as the command's own failure",
    ),
    Defect(
        name="storage-is-waited-for-for-ever",
        file=_CLIENT,
        old="            async with asyncio.timeout(self._seconds):",
        new="            async with asyncio.timeout(None):",
        caught_by=(_FAULTS + "test_an_answer_that_never_comes_is_unreachable_in_bounded_time",),
        what="a request that gets no answer holds its slot until the host kills the function",
    ),
    Defect(
        name="a-lease-is-rounded-down",
        file=_CLIENT,
        old="    age = parsedate_to_datetime(date) - timestamp - timedelta(microseconds=1)",
        new="    age = parsedate_to_datetime(date) - timestamp + timedelta(seconds=1)",
        caught_by=(_FAULTS + "test_the_age_of_a_key_is_the_least_that_it_can_be",),
        what="a lease is taken over while its owner still holds it",
    ),
    Defect(
        name="half-a-transaction-is-whole",
        file=_CLIENT,
        old="        if written is not None and len(written) != len(rows):",
        new="        if written is not None and len(written) > len(rows):",
        caught_by=(_FAULTS + "test_a_transaction_that_nobody_confirmed_is_unreachable",),
        what="rows that were never written are told as written",
    ),
    Defect(
        name="quotes-of-a-condition-not-doubled",
        file="mosaic_core/adapters/tables/reads.py",
        old="""return "'" + text.replace("'", "''") + "'\"""",
        new="""return "'" + text + "'\"""",
        caught_by=(_FAULTS + "test_a_condition_s_text_is_a_parameter_whatever_it_holds",),
        what="a text within a condition reads rows of another household",
    ),
    Defect(
        name="filter-not-parameterised",
        file=_CLIENT,
        old="""{name} {operator} @{place}" for place, (name, operator, _) in enumerate(terms)""",
        new="""{name} {operator} '{text}'" for name, operator, text in terms""",
        caught_by=(_FAULTS + "test_a_condition_s_text_is_a_parameter_whatever_it_holds",),
        what="a text within a condition reads rows of another household",
    ),
    # ----------------------------------------------------------------------------------------------------------- keys
    Defect(
        name="long-keys-are-cut",
        file=_KEYS,
        old='    return f"{escaped[:_KEPT]}~~{hashlib.sha256(whole).hexdigest()}"',
        new="    return escaped[:LONGEST]",
        caught_by=("tests/unit/test_tables_keys.py::test_long_texts_differ_by_any_character",),
        what="two long transaction ids are one row, and one transaction is lost",
    ),
    Defect(
        name="the-escape-is-not-escaped",
        file=_KEYS,
        old='quote(whole, safe=":").replace("~", "%7E").replace("%", "~")',
        new='quote(whole, safe=":").replace("%", "~")',
        caught_by=("tests/unit/test_tables_keys.py::test_an_encoded_key_is_not_the_key_of_its_own_encoding",),
        what="an id that looks like another's key reaches that one's row",
    ),
    # ----------------------------------------------------------------------------------------------------------- rows
    Defect(
        name="a-row-points-at-no-blob",
        file=_STORES,
        old="            await self._blobs.put(name, data)  # before the row: a row never points at nothing\n",
        new="",
        caught_by=(_SUITE + "test_envelopes_of_any_size_come_back",),
        what="a large command is recorded and can never be read",
    ),
    Defect(
        name="signals-of-other-runs-are-listed",
        file=_STORES,
        old="(signal for signal in found if signal.run_id == run_id)",
        new="(signal for signal in found if signal.run_id)",
        caught_by=(_SUITE + "test_a_signal_found_again_by_another_run_stays_the_first_ones",),
        what="a run shows a signal that another run raised",
    ),
    Defect(
        name="times-lose-their-microseconds",
        file=_WRITES,
        old="timespec='microseconds'",
        new="timespec='milliseconds'",
        caught_by=(_SUITE + "test_times_come_back_to_the_microsecond",),
        what="two runs within a millisecond change their order",
    ),
    Defect(
        name="an-amount-is-no-content",
        file=_ROWS,
        old="        _plain(transaction.amount),\n",
        new="",
        caught_by=(_SUITE + "test_other_content_is_a_conflict_and_left_as_it_is",),
        what="a source that corrects an amount is told that nothing changed",
    ),
    Defect(
        name="amounts-are-rounded",
        file=_ROWS,
        old="    Decimal: (str, Decimal),",
        new='    Decimal: (lambda value: f"{value:.2f}", Decimal),',
        caught_by=(_SUITE + "test_amounts_come_back_digit_by_digit",),
        what="the ledger holds other amounts than the bank",
    ),
    Defect(
        name="resolved-findings-stay-open",
        file=_ROWS,
        old="    return signal.household_id == household_id and not signal.is_resolved",
        new="    return signal.household_id == household_id",
        caught_by=(_SUITE + "test_a_household_lists_its_open_findings_newest_day_first",),
        what="what a person has resolved is asked again and again",
    ),
    Defect(
        name="findings-of-other-households-are-open",
        file=_ROWS,
        old="    return signal.household_id == household_id and not signal.is_resolved",
        new="    return not signal.is_resolved",
        caught_by=(_SUITE + "test_a_household_lists_its_open_findings_newest_day_first",),
        what="a household is shown what was found in another's ledger",
    ),
    Defect(
        name="times-before-1601-are-tried",
        file=_ROWS,
        old="    if value < EARLIEST:",
        new="    if value < value:",
        caught_by=(_SUITE + "test_a_time_that_no_row_can_hold_is_refused",),
        what="storage refuses a row that was taken for good",
    ),
    # ------------------------------------------------------------------------------------------- what may be read
    Defect(
        name="any-household-s-run",
        file=_READS,
        old="""        if stored is None or stored.value.household_id != household_id:
            raise""",
        new="""        if stored is None:
            raise""",
        caught_by=(_READING + "test_another_household_s_run_is_not_there",),
        what="who guesses a run id reads another household's run",
    ),
    Defect(
        name="any-household-s-runs-in-a-stream",
        file=_READS,
        old="""        if stored is None or stored.value.household_id != household_id:
                    continue""",
        new="""        if stored is None:
                    continue""",
        caught_by=(_READING + "test_a_run_of_another_household_is_in_no_stream",),
        what="a listed command whose run is another household's shows that run",
    ),
    Defect(
        name="approvals-of-other-conversations",
        file=_READS,
        old=" if approval.conversation_id == conversation_id\n",
        new=" if approval.conversation_id\n",
        caught_by=(_READING + "test_pending_approvals_come_with_the_conversation",),
        what="a conversation asks for what belongs to another",
    ),
    Defect(
        name="expired-approvals-are-asked-for",
        file=_READS,
        old=" for approval in undecided if not approvals_of.is_over(approval, as_of)\n",
        new=" for approval in undecided\n",
        caught_by=(_READING + "test_pending_approvals_come_with_the_conversation",),
        what="a person is asked for what can no longer be decided",
    ),
    Defect(
        name="an-approval-lives-one-moment-longer",
        file="mosaic_core/services/approval_pages.py",
        old="approval.status == ApprovalStatus.PENDING and approvals_of.is_over(approval, now)",
        new="approval.status == ApprovalStatus.PENDING and approvals_of.due_at(approval) < now",
        caught_by=(_READING + "test_approvals_by_their_state_now",),
        what="the API shows as pending what the worker takes for expired",
    ),
    Defect(
        name="late-stages-show",
        file=_READS,
        old="stage for stage in stages if stage.attempt == run.attempt]",
        new="stage for stage in stages if stage.attempt >= run.attempt]",
        caught_by=(_READING + "test_stages_show_through_the_run_s_attempt_only",),
        what="the stages of an attempt that lost are shown as the run's",
    ),
    Defect(
        name="since-counts-the-age",
        file=_READS,
        old="stored.value.last_modified_at >= since",
        new="stored.value.created_at >= since",
        caught_by=(_READING + "test_since_counts_the_modification_not_the_age",),
        what="who follows a conversation never sees its runs end",
    ),
    Defect(
        name="since-leaves-out-its-own-moment",
        file=_READS,
        old="stored.value.last_modified_at >= since",
        new="stored.value.last_modified_at > since",
        caught_by=(_READING + "test_since_counts_the_modification_not_the_age",),
        what="what changes in the moment that is asked for is never seen",
    ),
)
