"""Defects of the lanes: what a conversation does, asks, says and ends; what an ingestion tells; what a sweep lists."""

from __future__ import annotations

from textwrap import indent
from typing import Final

from tests.planted.defect import Defect

_LANE = "mosaic_core/lanes/conversation/"
_EFFECTS = f"{_LANE}effects.py"
_ENDINGS = f"{_LANE}endings.py"
_EXCHANGE = f"{_LANE}exchange.py"
_DECISIONS = f"{_LANE}decisions.py"
_PROPOSALS = f"{_LANE}proposals.py"
_SESSIONS = f"{_LANE}sessions.py"
_TURNSTILE = f"{_LANE}turnstile.py"
_INGESTION = "mosaic_core/lanes/ingestion.py"
_SWEEP = "mosaic_core/lanes/sweep.py"
_ENDS = "tests/unit/test_approvals_end.py::"
_PROPOSING = "tests/unit/test_conversation_proposals.py::"
_PROPERTY = "tests/property/test_policy_properties.py::"
_TALKING = "tests/unit/test_lane_conversation.py::"
_INGESTING = "tests/unit/test_lane_ingestion.py::"
_SWEEPING = "tests/unit/test_lane_sweep.py::"

_FINDING_LISTED = """\
        known = listed.get(signal_id)
        if known is None or not known.issuperset(finding.transaction_ids):
            # before the signal, so that no signal is without it; what older versions raised is listed here as well
            await signals.index_finding(
                household_id, signal_id, day=finding.date, transaction_ids=finding.transaction_ids
            )
"""
_FINDING_KNOWN = """\
        if await signals.read(signal_id) is not None:
"""
_FINDING = """\
        signal = Signal(
            signal_id=signal_id,
            queue=context.queue,
            signal_code=finding.kind.value,
            severity=Severity(finding.severity),
            summary=finding.explanation[:200],
            requires_human_review=True,
            raised_at=context.now(),
            run_id=context.run_id,
            command_id=context.envelope.command_id,
            correlation_id=ids.clean(context.envelope.correlation_id),
            household_id=household_id,
        )
"""
_SET_TOLD = """\
        said, goes_on = None, False
        if batch is not None and batch.state and approval.batch is not None and not await self.is_void(approval):
            said, goes_on = await self._tell(approval, batch, members)
"""
_SET_SETTLED = "        await each(members, self._settled)\n"

DEFECTS: Final = (
    # --------------------------------------------------------------------------------------------- what the app does
    Defect(
        name="thirteen-lower-attempt-annotates-over-a-higher",
        file=_EFFECTS,
        old="        return there.attempt > new.attempt or (there.attempt == new.attempt and there.value == new.value)\n",
        new="        return there.attempt == new.attempt and there.value == new.value\n",
        caught_by=(f"{_ENDS}test_a_lower_attempts_annotation_does_not_replace_a_higher_ones",),
        what="what the run tells is not what the ledger says",
    ),
    Defect(
        name="a-later-choice-is-overwritten",
        file=_EFFECTS,
        old="    return (there.asked_at, there.approval_id or there.run_id) > (new.asked_at, new.approval_id or new.run_id)\n",
        new="    return False\n",
        caught_by=(f"{_PROPOSING}test_of_two_requests_the_later_one_stands_whatever_the_order",),
        what="an old request that waited undoes what a person chose since",
    ),
    Defect(
        name="done-is-said-of-what-did-not-land",
        file=_EFFECTS,
        old="            return stored.value.value == value\n",
        new="            return True\n",
        caught_by=(f"{_ENDS}test_done_is_said_only_of_what_landed",),
        what="a person is told that a row was changed, and it was not",
    ),
    Defect(
        name="any-signal-may-be-dismissed",
        file=_EFFECTS,
        old=" and signal.signal_code in FINDINGS\n",
        new="\n",
        caught_by=(f"{_PROPOSING}test_the_runtimes_own_signals_are_not_the_agents_to_dismiss",),
        what="an agent makes the failure of a command vanish",
    ),
    Defect(
        name="any-household-s-finding-may-be-dismissed",
        file=_EFFECTS,
        old="    return signal.household_id == household_id and signal",
        new="    return signal",
        caught_by=(f"{_PROPOSING}test_a_proposal_that_is_not_valid_is_refused_and_told",),
        what="an agent makes another household's finding vanish",
    ),
    Defect(
        name="a-decision-reads-the-whole-ledger",
        file=_ENDINGS,
        old="                whole = self._rules.agent.resumes_over_ledger or",
        new="                whole = True or",
        caught_by=(
            "tests/unit/test_approvals_end.py::"
            "test_a_decision_reads_its_rows_by_id_and_the_ledger_only_for_an_agent_that_looks_at_it",
        ),
        what="a decision's cost grows with the household's years",
    ),
    Defect(
        name="what-landed-is-judged-over-no-ledger",
        file=_ENDINGS,
        old=" or told_before is not None",
        new="",
        caught_by=(
            "tests/unit/test_approvals_end.py::"
            "test_what_an_agent_has_asked_for_is_judged_over_the_ledger_by_whoever_goes_on",
        ),
        what="what one agent proposed is refused since another is configured by now",
    ),
    Defect(
        name="rows-of-nobody-are-proposed",
        file=_PROPOSALS,
        old="        if not all(i in ledger for i in named):\n",
        new="        if False:\n",
        caught_by=(f"{_PROPOSING}test_a_proposal_that_is_not_valid_is_refused_and_told",),
        what="what is applied names rows that the household does not have",
    ),
    Defect(
        name="words-that-nobody-said-are-asked-for",
        file=_PROPOSALS,
        old="        if name == REQUEST and arguments != request_of(turn.question, turn.user_note):\n",
        new="        if False:\n",
        caught_by=(f"{_PROPOSING}test_no_agent_puts_words_into_a_members_mouth",),
        what="a person approves as a member's request what a model wrote",
    ),
    Defect(
        name="what-the-app-has-code-for-is-applied",
        file=_PROPOSALS,
        old="            match judged.ruling.verdict:\n",
        new="            match Verdict.APPLY if approvals.is_executable(judged.action) else judged.ruling.verdict:\n",
        caught_by=(f"{_PROPERTY}test_whatever_is_said_and_proposed_only_listed_actions_act",),
        what="no rule is asked, and a grave finding is dismissed by a model",
    ),
    Defect(
        name="one-call-id-twice-is-a-set",
        file=_PROPOSALS,
        old="                if proposal.call_id in calls:\n",
        new="                if False:\n",
        caught_by=(f"{_ENDS}test_two_proposals_under_one_call_id_are_not_two_of_a_set",),
        what="one of two approvals is of no set, and the agent is told too early",
    ),
    Defect(
        name="a-set-is-judged-again",
        file=_PROPOSALS,
        old="        if self._exchange.goes_on:\n",
        new="        if False:\n",
        caught_by=(f"{_ENDS}test_what_was_asked_for_once_is_asked_for_whatever_the_policy_says_by_then",),
        what="what a person was asked for is applied without them by the next attempt",
    ),
    # ----------------------------------------------------------------------------------------------------- decisions
    Defect(
        name="whoever-asked-may-approve",
        file=_DECISIONS,
        old="approves and self._rules.require_other_person and self",
        new="False and self",
        caught_by=(f"{_PROPOSING}test_whoever_asked_cannot_approve_where_another_person_is_wanted",),
        what="two pairs of eyes are one",
    ),
    Defect(
        name="a-decision-expires-in-the-queue",
        file=_DECISIONS,
        old="            if void or approvals.is_over(approval, context.envelope.created_at):\n",
        new="            if void or approvals.is_over(approval, context.now()):\n",
        caught_by=(f"{_TALKING}test_a_decision_taken_in_time_counts_however_long_it_waited_in_the_queue",),
        what="a person decided in time, and nothing is done",
    ),
    Defect(
        name="what-the-rejected-asked-for-is-approved",
        file=_DECISIONS,
        old="            void = await self._endings.is_void(approval)\n",
        new="",
        caught_by=(f"{_ENDS}test_what_a_rejected_command_asked_for_is_void",),
        what="a command that was given up acts all the same",
    ),
    Defect(
        name="only-who-decides-sees-to-it",
        file=_DECISIONS,
        old="        if approval is None or approval.status == ApprovalStatus.PENDING:\n            return result\n",
        new="        if approval is None or verdict.outcome != DecisionOutcome.APPLIED:\n            return result\n",
        caught_by=(f"{_ENDS}test_what_a_dead_decision_left_is_done_by_whoever_comes_next",),
        what="an approved action whose deciding process died is never carried out",
    ),
    # --------------------------------------------------------------------------------------------------------- endings
    Defect(
        name="siblings-are-left-undone",
        file=_ENDINGS,
        old="            if undone and sibling.approval_id != approval.approval_id:\n",
        new="            if False:\n",
        caught_by=(f"{_ENDS}test_what_a_dead_decision_left_is_done_by_whoever_comes_next",),
        what="an approved action whose deciding process died is told and not carried out",
    ),
    Defect(
        name="a-changed-action-is-carried-out",
        file=_ENDINGS,
        old="                action = approvals.stored_action(row)\n",
        new='                action = approvals.action_of(row.action_json or "")\n',
        caught_by=(f"{_PROPOSING}test_an_action_that_is_changed_between_approval_and_execution_is_not_carried_out",),
        what="what is carried out is not what the person approved",
    ),
    Defect(
        name="one-decision-ends-the-set",
        file=_ENDINGS,
        old="                members.append(await self.expire(row))\n            else:\n                return None\n",
        new="                members.append(await self.expire(row))\n",
        caught_by=(f"{_ENDS}test_a_set_without_a_session_closes_the_review_when_all_of_it_is_decided",),
        what="one decision closes the review that others wait for",
    ),
    Defect(
        name="settled-before-it-is-told",
        file=_ENDINGS,
        old=_SET_TOLD + _SET_SETTLED,
        new=_SET_SETTLED + _SET_TOLD,
        caught_by=(f"{_ENDS}test_one_reply_is_told_once_and_acts_once_after_twenty_newer_exchanges",),
        what="an agent whose telling run died is never told",
    ),
    Defect(
        name="who-asked-in-vain-is-told",
        file=_ENDINGS,
        old=" and approval.batch is not None and not await self.is_void(approval):\n",
        new=" and approval.batch is not None:\n",
        caught_by=(f"{_ENDS}test_siblings_of_a_void_one_end_with_it_and_nobody_is_told",),
        what="an agent goes on for a command that was rejected",
    ),
    Defect(
        name="an-approval-counts-from-its-asking",
        file=_ENDINGS,
        old="        asked_at = row.decided_at or row.created_at\n",
        new="        asked_at = row.created_at\n",
        caught_by=(f"{_ENDS}test_what_a_person_approves_last_is_applied",),
        what="what a person approves last is not applied, since somebody chose before",
    ),
    # ------------------------------------------------------------------------------------------------------- exchanges
    Defect(
        name="a-conversation-is-taken-from-its-holder",
        file=_EXCHANGE,
        old="        if stored.lease_left > 0:\n            raise busy()\n",
        new="",
        caught_by=(f"{_ENDS}test_a_holder_whose_process_died_is_taken_over_when_its_lease_is_over",),
        what="many messages at once ask the agent over and over",
    ),
    Defect(
        name="a-dead-holder-holds-for-ever",
        file=_EXCHANGE,
        old="        if stored.lease_left > 0:\n            raise busy()\n",
        new="        raise busy()\n",
        caught_by=(f"{_ENDS}test_a_holder_whose_process_died_is_taken_over_when_its_lease_is_over",),
        what="a conversation that nobody can talk in any more",
    ),
    Defect(
        name="a-lower-attempt-takes-the-conversation",
        file=_EXCHANGE,
        old="            if there.attempt > self._me.attempt:\n",
        new="            if False:\n",
        caught_by=(f"{_ENDS}test_a_lower_attempt_does_not_take_the_conversation_from_a_higher_one",),
        what="after its end an attempt goes on beside the next one",
    ),
    Defect(
        name="a-failed-attempt-keeps-the-conversation",
        file=_EXCHANGE,
        old="                try:\n                    await self._release()\n                except",
        new="                try:\n                    pass\n                except",
        caught_by=(f"{_ENDS}test_an_attempt_that_fails_lets_the_conversation_go",),
        what="other messages wait for an attempt that has ended",
    ),
    Defect(
        name="a-reply-acts-before-it-has-landed",
        file=_EXCHANGE,
        old="            if landed is None and (self._may_have_landed or reply.proposals or reply.state):\n",
        new="            if False:\n",
        caught_by=(f"{_ENDS}test_one_reply_is_told_once_and_acts_once_after_twenty_newer_exchanges",),
        what="two attempts propose two sets of actions, and both are carried out",
    ),
    Defect(
        name="who-lands-second-goes-on-with-its-own",
        file=_SESSIONS,
        old="    return _there(await _read(stores, household_id, name))\n\n\nasync def _read",
        new="    return json.loads(text)\n\n\nasync def _read",
        caught_by=(f"{_ENDS}test_the_first_of_two_to_land_is_whom_both_go_on_from",),
        what="two attempts at once propose two sets of actions",
    ),
    Defect(
        name="a-session-is-not-checked",
        file=_SESSIONS,
        old="    if hashlib.sha256(text).hexdigest() != digest:\n",
        new="    if False:\n",
        caught_by=(f"{_PROPOSING}test_a_session_that_is_not_what_was_stored_is_not_resumed",),
        what="an agent goes on from a session that somebody has edited",
    ),
    Defect(
        name="a-session-is-anybody-s",
        file=_SESSIONS,
        old='    if not name.startswith(f"agent/{household_id}/"):\n',
        new="    if False:\n",
        caught_by=(f"{_PROPOSING}test_a_session_that_is_not_what_was_stored_is_not_resumed",),
        what="an agent tells one household what another one said",
    ),
    Defect(
        name="a-flood-takes-every-slot",
        file=_TURNSTILE,
        old="        if gate.lock.locked() and gate.waiting >= MOST_WAITING:\n",
        new="        if False:\n",
        caught_by=(f"{_ENDS}test_a_flood_of_one_conversation_leaves_slots_for_others",),
        what="one conversation stops the conversations of everyone",
    ),
    Defect(
        name="conversations-wait-for-one-another",
        file=_TURNSTILE,
        old="        gate = self._gates.setdefault((household_id, conversation_id), _Gate())\n",
        new='        gate = self._gates.setdefault((household_id, ""), _Gate())\n',
        caught_by=(f"{_ENDS}test_who_waits_too_long_goes_back_to_the_queue",),
        what="one conversation holds up the household's others",
    ),
    # ------------------------------------------------------------------------------------------------------- ingestion
    Defect(
        name="a-second-attempt-tells-what-it-would-write",
        file=_INGESTION,
        old="                stands = await _as_it_stands(context.stores, payload.household_id, decided, write)\n",
        new="",
        caught_by=(f"{_INGESTING}test_a_second_attempt_reviews_what_stands_and_not_what_it_would_write_now",),
        what="an ingestion that was cut off asks nobody about the rows that it wrote",
    ),
    Defect(
        name="a-person-s-category-is-reviewed-again",
        file=_INGESTION,
        old="    return corrected(stands, chosen)\n",
        new="    return stands\n",
        caught_by=(f"{_INGESTING}test_a_row_whose_category_a_person_chose_is_not_reviewed_again",),
        what="a person is asked for what they have answered",
    ),
    Defect(
        name="a-blob-is-anybody-s",
        file=_INGESTION,
        old="    if prefix != payload.household_id:\n",
        new="    if False:\n",
        caught_by=(f"{_INGESTING}test_another_households_blob_is_refused_even_though_it_is_there",),
        what="one household's transactions are booked into another's ledger",
    ),
    Defect(
        name="a-blob-is-not-checked",
        file=_INGESTION,
        old="    if (await compute_over(len(data), INLINE_BYTES, hashlib.sha256, data)).hexdigest() != digest:\n",
        new="    if False:\n",
        caught_by=(f"{_INGESTING}test_a_blob_whose_sum_differs",),
        what="what is booked is not what was accepted",
    ),
    Defect(
        name="the-household-is-not-marked",
        file=_INGESTION,
        old="            await context.stores.households.mark_active(payload.household_id, context.now().date())\n",
        new="",
        caught_by=(f"{_INGESTING}test_the_household_becomes_active_in_the_month_of_the_ingestion",),
        what="a household that ingests is never swept",
    ),
    # ----------------------------------------------------------------------------------------------------------- sweep
    Defect(
        name="thirteen-finding-listed-after-its-signal",
        file=_SWEEP,
        old=_FINDING_LISTED
        + _FINDING_KNOWN
        + "            return False\n"
        + _FINDING
        + "        return await signals.insert(signal) is not None\n",
        new=_FINDING_KNOWN
        + indent(_FINDING_LISTED, "    ")
        + "            return False\n"
        + _FINDING
        + "        is_new = await signals.insert(signal) is not None\n"
        + _FINDING_LISTED
        + "        return is_new\n",
        caught_by=(f"{_SWEEPING}test_wherever_a_sweep_is_cut_off_no_signal_is_without_its_listing",),
        what="a finding that its household is not shown",
    ),
    Defect(
        name="findings-are-listed-every-night",
        file=_SWEEP,
        old="        if known is None or not known.issuperset(finding.transaction_ids):\n",
        new="        if True:\n",
        caught_by=(f"{_SWEEPING}test_a_finding_whose_day_moves_each_night_is_listed_once",),
        what="each night adds a row for each finding, for ever",
    ),
    Defect(
        name="a-finding-that-grew-is-not-listed",
        file=_SWEEP,
        old="        if known is None or not known.issuperset(finding.transaction_ids):\n",
        new="        if known is None:\n",
        caught_by=(f"{_SWEEPING}test_a_finding_that_grew_is_listed_with_its_rows",),
        what="a person is shown half of what was found",
    ),
)
