"""Defects of the domain: states, ids, signals, the decoder, the policy, an approval's action, several at once."""

from __future__ import annotations

from typing import Final

from tests.planted.defect import Defect

_ENVELOPE = "mosaic_core/domain/envelope.py"
_ENVELOPE_TESTS = "tests/unit/test_envelope.py::"

DEFECTS: Final = (
    # -------------------------------------------------------------------------------------------------------- bounds
    Defect(
        name="a-normal-form-of-any-length",
        file=_ENVELOPE,
        old="        if normal_length(value) > limit:",
        new="        if len(value) > limit:",
        caught_by=("tests/unit/test_stored_texts.py::test_a_text_whose_normal_form_is_too_long_is_no_envelope",),
        what="2,000 letters that stand for 36,000 are judged, and can never become an approval",
    ),
    Defect(
        name="long-texts-on-the-loop",
        file="mosaic_core/computing.py",
        old="    if size <= inline:",
        new="    if size >= 0:",
        caught_by=("tests/unit/test_loop_is_free.py::test_a_long_message_is_judged_beside_the_loop_where_it_comes_in",),
        what="one household's long messages hold up everybody's health checks and leases",
    ),
    # --------------------------------------------------------------------------------------------------------- states
    Defect(
        name="final-rows-change",
        file="mosaic_core/domain/lifecycle.py",
        old="    if final or after not in table",
        new="    if after not in table",
        caught_by=("tests/unit/test_reservation.py::test_nothing_follows_a_final_run",),
        what="a final run is adopted and runs again",
    ),
    Defect(
        name="decided-approvals-are-decided-again",
        file="mosaic_core/domain/lifecycle.py",
        old="        ApprovalStatus.PENDING: frozenset({ApprovalStatus.APPROVED,",
        new="        ApprovalStatus.REJECTED: frozenset({ApprovalStatus.APPROVED}),\n"
        "        ApprovalStatus.PENDING: frozenset({ApprovalStatus.APPROVED,",
        caught_by=("tests/unit/test_signals.py::test_what_must_never_follow",),
        what="what a person rejected is approved afterwards",
    ),
    Defect(
        name="terminal-keys-change",
        file="mosaic_core/domain/lifecycle.py",
        old="        KeyStatus.RESERVED: frozenset({KeyStatus.RESERVED, KeyStatus.COMPLETED, KeyStatus.REJECTED}),",
        new="        KeyStatus.RESERVED: frozenset({KeyStatus.RESERVED, KeyStatus.COMPLETED, KeyStatus.REJECTED}),\n"
        "        KeyStatus.COMPLETED: frozenset({KeyStatus.RESERVED}),",
        caught_by=("tests/unit/test_reservation.py::test_nothing_follows_a_final_key",),
        what="a completed command is taken over and runs twice",
    ),
    # ------------------------------------------------------------------------------------------------------------ ids
    Defect(
        name="parts-of-an-id-run-together",
        file="mosaic_core/domain/ids.py",
        old='"".join(f"{len(part)}:{part}" for part in parts)',
        new='":".join(parts)',
        caught_by=("tests/unit/test_ids.py::test_derived_ids_stay_as_they_are",),
        what="two commands share a run, and rows of the version before are not found",
    ),
    Defect(
        name="a-mismatch-is-one-signal-for-all-requests",
        file="mosaic_core/domain/ids.py",
        old="DeadLetterReason.IDEMPOTENCY_HASH_MISMATCH.value, request_hash)",
        new="DeadLetterReason.IDEMPOTENCY_HASH_MISMATCH.value)",
        caught_by=("tests/unit/test_signals.py::test_a_mismatch_is_one_signal_per_other_request",),
        what="the second foreign request under an id is told to nobody",
    ),
    Defect(
        name="the-guid-of-zeros-is-one",
        file="mosaic_core/domain/ids.py",
        old='    if not guid.strip("0"):\n',
        new="    if not guid:\n",
        caught_by=("tests/unit/test_ids.py::test_the_guid_of_zeros_is_none",),
        what="all clients that send an empty id share one command",
    ),
    # -------------------------------------------------------------------------------------------------------- signals
    Defect(
        name="a-failure-needs-no-person",
        file="mosaic_core/domain/signals.py",
        old="""        summary=f"{run.failure_code or 'failed'}: {run.failure_rationale or ''}"[:200],
        requires_human_review=True,""",
        new="""        summary=f"{run.failure_code or 'failed'}: {run.failure_rationale or ''}"[:200],
        requires_human_review=False,""",
        caught_by=("tests/unit/test_signals.py::test_what_holds_of_every_signal",),
        what="a rejected command is nobody's to look at",
    ),
    Defect(
        name="a-recovery-stays-open",
        file="mosaic_core/domain/signals.py",
        old='    return resolve(failed, by="runtime", note="recovered", now=now)',
        new="    return failed",
        caught_by=("tests/unit/test_signals.py::test_a_recovery_is_the_failure_resolved",),
        what="a command that succeeded in the end has an open failure for ever",
    ),
    Defect(
        name="a-refused-message-is-one-signal-for-all",
        file="mosaic_core/domain/signals.py",
        old="ids.rejected_message_signal_id(queue, message_id, code)",
        new='ids.rejected_message_signal_id(queue, "", code)',
        caught_by=("tests/unit/test_signals.py::test_a_refused_message_is_one_signal_per_message_and_reason",),
        what="only the first poison of a queue is told to a person",
    ),
    # -------------------------------------------------------------------------------------------------------- decoder
    Defect(
        name="poison-escapes",
        file=_ENVELOPE,
        old="    except Exception as error:\n",
        new="    except NotImplementedError as error:\n",
        caught_by=(_ENVELOPE_TESTS + "test_what_nobody_thought_of_is_poison_that_names_the_type_alone",),
        what="an error of the decoder is delivered ten times and told to nobody",
    ),
    Defect(
        name="the-net-quotes-the-body",
        file=_ENVELOPE,
        old="cannot be read ({type(error).__name__})",
        new="cannot be read ({error})",
        caught_by=(_ENVELOPE_TESTS + "test_what_nobody_thought_of_is_poison_that_names_the_type_alone",),
        what="a dead letter's description carries what a person wrote",
    ),
    Defect(
        name="a-fault-quotes-the-value",
        file=_ENVELOPE,
        old="""    for fault in error.errors(include_input=False, include_url=False, include_context=False):
        path = ".".join(str(part) for part in fault["loc"] if isinstance(part, int) or part.isidentifier())
        issue = fault["msg"]""",
        new="""    for fault in error.errors(include_url=False, include_context=False):
        path = ".".join(str(part) for part in fault["loc"] if isinstance(part, int) or part.isidentifier())
        issue = str(fault["input"])""",
        caught_by=(_ENVELOPE_TESTS + "test_poison_never_repeats_the_value",),
        what="a dead letter's description carries what a person wrote",
    ),
    Defect(
        name="times-overflow",
        file=_ENVELOPE,
        old="    if not TIMES[0] <= value < TIMES[1]:",
        new="    if not TIMES[0] <= value.astimezone(UTC):",
        caught_by=(
            _ENVELOPE_TESTS + "test_a_time_at_the_edge_of_the_calendar_is_poison",
            "tests/unit/test_poison.py::test_poison_is_dead_lettered_at_once_with_its_reason_and_its_signal",
        ),
        what="a time at the edge of the calendar raises in the middle of a delivery",
    ),
    Defect(
        name="days-overflow",
        file=_ENVELOPE,
        old="    if not DAYS[0] <= value < DAYS[1]:",
        new="    if not DAYS[0] <= value:",
        caught_by=(
            _ENVELOPE_TESTS + "test_a_bad_transaction_is_named",
            _ENVELOPE_TESTS + "test_a_sweep_of_a_night_that_cannot_be_calculated_with_is_poison",
        ),
        what="a posting in 9999 overflows in the lane, five times over",
    ),
    Defect(
        name="depth-is-left-to-the-parser",
        file=_ENVELOPE,
        old='    if text.count("{") + text.count("[") > MAX_DEPTH and _is_deep(text):',
        new='    if text.count("{") + text.count("[") > 100 * MAX_DEPTH and not text:',
        caught_by=(_ENVELOPE_TESTS + "test_depth_is_found_before_the_parser_recurses",),
        what="a deep body takes the process along where a thread's stack is small",
    ),
    Defect(
        name="depth-is-one-less",
        file=_ENVELOPE,
        old="        if level > MAX_DEPTH:",
        new="        if level >= MAX_DEPTH:",
        caught_by=(_ENVELOPE_TESTS + "test_sixty_four_levels_are_still_json",),
        what="64 levels, which the contract takes, are poison",
    ),
    Defect(
        name="a-key-may-stand-twice",
        file=_ENVELOPE,
        old="    if len(out) != len(pairs):",
        new="    if len(out) > len(pairs):",
        caught_by=(_ENVELOPE_TESTS + "test_invalid_json",),
        what="two readers of one body see two different commands",
    ),
    Defect(
        name="halves-of-surrogate-pairs-pass",
        file=_ENVELOPE,
        old="    if _SURROGATE.search(text):",
        new='    if text.startswith("\\\\ud800"):',
        caught_by=(_ENVELOPE_TESTS + "test_invalid_json",),
        what="a text that no row and no message can hold is accepted",
    ),
    Defect(
        name="the-hash-depends-on-the-lane",
        file=_ENVELOPE,
        old="if payload is not None else _by_value(header.payload)",
        new="if supported and payload is not None else _by_value(header.payload)",
        caught_by=(_ENVELOPE_TESTS + "test_the_hash_does_not_depend_on_the_lane_that_reads_it",),
        what="a command on a wrong queue is a mismatch with its own record",
    ),
    Defect(
        name="the-hint-is-hashed",
        file=_ENVELOPE,
        old='    exclude = {"policy_disposition"} if without_hint else None',
        new="    exclude = None",
        caught_by=(_ENVELOPE_TESTS + "test_the_request_hash_is_of_type_and_payload_only",),
        what="a client's repetition under another version of the policy is a conflict",
    ),
    Defect(
        name="amounts-hash-as-they-are-spelt",
        file=_ENVELOPE,
        old='            text = text.rstrip("0").rstrip(".") if "." in text else text\n',
        new="",
        caught_by=(_ENVELOPE_TESTS + "test_amounts_hash_alike_however_they_are_written",),
        what="the same batch from another bank's export is a conflict",
    ),
    Defect(
        name="fields-have-two-spellings",
        file=_ENVELOPE,
        old="    header = _Header.model_validate(raw, by_alias=True, by_name=False)",
        new="    header = _Header.model_validate(raw)",
        caught_by=(_ENVELOPE_TESTS + "test_the_header_s_fields_have_one_spelling_only",),
        what="one body is two commands, by who reads it",
    ),
    # --------------------------------------------------------------------------------------------------------- policy
    Defect(
        name="a-rules-file-may-loosen-the-code",
        file="mosaic_core/domain/policy/rules.py",
        old="    return action in EXECUTABLE and not impact.needs_approval",
        new="    return True",
        caught_by=("tests/unit/test_policy_engine.py::test_no_rules_file_lets_the_app_do_more_than_annotate",),
        what="an edited file lets the app move money",
    ),
    Defect(
        name="without-a-rule-the-app-acts",
        file="mosaic_core/domain/policy/rules.py",
        old='_NO_RULE: Final = Rule(name="none", verdict=Verdict.APPROVE,',
        new='_NO_RULE: Final = Rule(name="none", verdict=Verdict.APPLY,',
        caught_by=("tests/unit/test_policy_engine.py::test_without_a_rule_a_person_decides",),
        what="what no rule fits is applied without a person",
    ),
    Defect(
        name="one-row-fewer-needs-no-person",
        file="mosaic_core/domain/policy/rules.py",
        old="proposed.rows > self.rows_above",
        new="proposed.rows >= self.rows_above",
        caught_by=("tests/unit/test_policy_engine.py::test_verdicts",),
        what="a limit of the policy is one off",
    ),
    Defect(
        name="instructions-in-arguments-pass",
        file="mosaic_core/domain/policy/rules.py",
        old="            and (not self.text_asks_action or _asks_action(proposed.arguments))",
        new="            and not self.text_asks_action",
        caught_by=("tests/unit/test_policy_engine.py::test_verdicts",),
        what="a note that says to wire money is applied",
    ),
    Defect(
        name="a-changed-action-is-approved",
        file="mosaic_core/domain/policy/approval.py",
        old="    same = action.json == approval.action_json and action.hash == approval.action_hash\n",
        new="    same = True\n",
        caught_by=("tests/unit/test_approval.py::test_an_action_that_was_changed_since_is_none",),
        what="what is carried out is not what the person approved",
    ),
    Defect(
        name="an-action-of-another-run-is-approved",
        file="mosaic_core/domain/policy/approval.py",
        old=" if same and approval.approval_id == ids.approval_id(turn, approval.action_hash) else None",
        new=" if same else None",
        caught_by=("tests/unit/test_approval.py::test_an_action_belongs_to_the_approval_that_it_was_asked_for_under",),
        what="an approved action is moved into another approval and carried out there",
    ),
    # ------------------------------------------------------------------------------------------------ several at once
    Defect(
        name="siblings-of-a-failed-write-go-on",
        file="mosaic_core/concurrency.py",
        old="""    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from failed.exceptions[0].__cause__
    return tuple(task.result() for task in tasks)""",
        new="    return tuple(await asyncio.gather(*work))",
        caught_by=(
            "tests/unit/test_concurrency.py::test_the_first_error_is_raised_as_it_is_and_nothing_is_written_after_it",
        ),
        what="after its end an attempt writes on",
    ),
    Defect(
        name="no-bound-on-requests",
        file="mosaic_core/concurrency.py",
        old="        async with gate:\n            return await work(item)",
        new="        return await work(item)",
        caught_by=("tests/unit/test_concurrency.py::test_no_more_than_so_many_are_under_way",),
        what="one step of one command sends hundreds of requests at once",
    ),
)
