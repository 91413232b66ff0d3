"""Defects at the edges: who may call, what an answer and a log line say, settlement, settings, the drain."""

from __future__ import annotations

from typing import Final

from tests.planted.defect import Defect

_MEMBERSHIP = "mosaic_core/services/callers.py"
_IDENTITY = "mosaic_core/adapters/identity.py"
_IDENTITY_TESTS = "tests/unit/test_identity.py::"
_ACCESS = "tests/unit/test_http_access.py::"
_COMMANDS = "tests/unit/test_http_commands.py::"
_TELEMETRY = "mosaic_core/telemetry.py"
_CONFIG_TESTS = "tests/unit/test_config.py::"
_DARK_TESTS: Final = "tests/unit/test_never_dark.py::test_"

DEFECTS: Final = (
    # -------------------------------------------------------------------------------------------------- who may call
    Defect(
        name="inactive-members-count",
        file=_MEMBERSHIP,
        old=" if is_active(m)]",
        new="]",
        caught_by=(_ACCESS + "test_a_token_without_a_membership_is_403",),
        what="who has left a household goes on reading it",
    ),
    Defect(
        name="the-choice-is-ignored",
        file=_MEMBERSHIP,
        old="            found = [membership for membership in found if membership.household_user_id == wanted]\n",
        new="            found = found[:1]\n",
        caught_by=(_ACCESS + "test_a_choice_is_only_among_one_s_own",),
        what="a message goes to another of the caller's households",
    ),
    Defect(
        name="the-first-membership-is-taken",
        file=_MEMBERSHIP,
        old="        if len(found) > 1:",
        new="        if len(found) > 2:",
        caught_by=(_ACCESS + "test_several_memberships_need_a_choice",),
        what="a message goes to a household that the caller did not mean",
    ),
    Defect(
        name="a-member-of-any-is-a-member-of-all",
        file=_MEMBERSHIP,
        old=" if membership.household_id == household_id]",
        new="]",
        caught_by=(_COMMANDS + "test_ingesting_needs_the_role_and_the_household",),
        what="a batch is booked into a household that is not the caller's",
    ),
    Defect(
        name="audience-not-checked",
        file=_IDENTITY,
        old="""                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options={"require":""",
        new="""                leeway=LEEWAY_SECONDS,
                options={"verify_aud": False, "require":""",
        caught_by=(_IDENTITY_TESTS + "test_what_does_not_hold_is_401",),
        what="a token for another API opens this one",
    ),
    Defect(
        name="issuer-not-checked",
        file=_IDENTITY,
        old="                issuer=self._issuer,\n",
        new="",
        caught_by=(_IDENTITY_TESTS + "test_what_does_not_hold_is_401",),
        what="a token of another tenant opens this one",
    ),
    Defect(
        name="expiry-not-checked",
        file=_IDENTITY,
        old='options={"require": ["exp",',
        new='options={"verify_exp": False, "require": ["exp",',
        caught_by=(_IDENTITY_TESTS + "test_what_does_not_hold_is_401",),
        what="a token never ends",
    ),
    Defect(
        name="other-algorithms-are-accepted",
        file=_IDENTITY,
        old='ALGORITHMS: Final = ["RS256"]',
        new='ALGORITHMS: Final = ["RS256", "PS256", "RS512"]',
        caught_by=(_IDENTITY_TESTS + "test_what_does_not_hold_is_401",),
        what="the token chooses how it is checked",
    ),
    Defect(
        name="short-keys-are-used",
        file=_IDENTITY,
        old="        if key.key_size >= 2048:",
        new="        if key.key_size >= 512:",
        caught_by=(_IDENTITY_TESTS + "test_unsuitable_keys_are_not_used",),
        what="tokens can be forged with some computing",
    ),
    Defect(
        name="withdrawn-keys-are-kept",
        file=_IDENTITY,
        old="        self._keys, self._fetched_at, self._trouble = keys, self._monotonic(), None",
        new="        self._keys, self._fetched_at, self._trouble = {**self._keys, **keys}, self._monotonic(), None",
        caught_by=(_IDENTITY_TESTS + "test_a_withdrawn_key_is_forgotten",),
        what="a key that was stolen and withdrawn signs for ever",
    ),
    Defect(
        name="unknown-keys-flood-the-issuer",
        file=_IDENTITY,
        old="        if self._monotonic() - self._tried_at < wait:",
        new="        if self._monotonic() - self._tried_at < 0:",
        caught_by=(_IDENTITY_TESTS + "test_a_new_key_is_found_and_unknown_ones_do_not_flood",),
        what="anybody makes this app ask the issuer as often as they like",
    ),
    Defect(
        name="roles-are-not-asked-for",
        file="mosaic_core/entrypoints/http/call.py",
        old="    if route.role is not None and route.role not in principal.roles:",
        new="    if route.role is not None and not principal.subject:",
        caught_by=(_COMMANDS + "test_ingesting_needs_the_role_and_the_household",),
        what="every member may ingest",
    ),
    Defect(
        name="the-platform-s-header-is-always-believed",
        file="mosaic_core/bootstrap.py",
        old="        if not auth.platform_authentication:\n            return None\n",
        new="",
        caught_by=("tests/unit/test_container.py::test_the_platform_s_header_counts_where_a_setting_says_so",),
        what="anybody is whoever they write into a header",
    ),
    Defect(
        name="a-token-that-does-not-hold-falls-back",
        file="mosaic_core/entrypoints/http/call.py",
        old='    if authorization:\n        scheme, _, token = authorization.partition(" ")',
        new="    if authorization and not request.headers.get(PLATFORM_HEADER):\n"
        '        scheme, _, token = authorization.partition(" ")',
        caught_by=(_ACCESS + "test_the_platform_s_word_counts_only_where_it_authenticates",),
        what="a forged token is as good as none",
    ),
    # ----------------------------------------------------------------------------------------------------- requests
    Defect(
        name="bodies-of-any-size",
        file="mosaic_core/entrypoints/http/request_parts.py",
        old="        if len(self.body) > limit:",
        new="        if len(self.body) > 1000 * limit:",
        caught_by=(_COMMANDS + "test_a_body_of_more_than_192_kib_is_413", _COMMANDS + "test_more_than_20_mib_is_413"),
        what="a request takes the memory of the process",
    ),
    Defect(
        name="bad-lines-are-skipped",
        file="mosaic_core/entrypoints/http/request_parts.py",
        old="    if wrong:\n        raise invalid(wrong)",
        new="    if len(wrong) > _MAX_DETAILS:\n        raise invalid(wrong)",
        caught_by=(_COMMANDS + "test_bad_lines_are_named",),
        what="a batch loses the lines that cannot be read, and 202 is said",
    ),
    Defect(
        name="two-contents-of-one-id",
        file="mosaic_core/services/batch.py",
        old="            if said.setdefault(line.transaction_id, hash(text)) != hash(text):",
        new="            if said.setdefault(line.transaction_id, hash(text)) is None:",
        caught_by=(_COMMANDS + "test_bad_lines_are_named",),
        what="which of two contradicting lines is booked is left to chance",
    ),
    Defect(
        name="control-characters-pass",
        file="mosaic_core/entrypoints/http/bodies.py",
        old="    if _UNPRINTABLE.search(value):",
        new="    if _UNPRINTABLE.fullmatch(value):",
        caught_by=(_COMMANDS + "test_a_bad_message_is_400_and_names_the_field",),
        what="a message holds what no reader shows",
    ),
    # ------------------------------------------------------------------------------------------------------- privacy
    Defect(
        name="the-log-quotes-the-caller",
        file="mosaic_core/entrypoints/http/blueprint.py",
        old='    log.error("request failed: %s\\n%s", type(error).__name__, places, extra=told)',
        new='    log.error("request failed: %s\\n%s", error, places, extra=told)',
        caught_by=(_COMMANDS + "test_what_nobody_expected_is_500_without_internals",),
        what="what a person wrote stands in the log",
    ),
    Defect(
        name="spans-quote-the-caller",
        file=_TELEMETRY,
        old="record_exception=False, set_status_on_exception=False",
        new="record_exception=True, set_status_on_exception=True",
        caught_by=("tests/unit/test_telemetry.py::TestSpans::test_an_error_is_told_by_its_code_never_by_its_text",),
        what="what a person wrote stands in the trace",
    ),
    Defect(
        name="events-quote-a-command-type",
        file=_TELEMETRY,
        old='    return envelope.command_type if lane_of(envelope.command_type) else "unsupported"',
        new="    return envelope.command_type",
        caught_by=("tests/unit/test_telemetry.py::TestEvents::test_a_type_that_is_none_of_ours_is_not_shown",),
        what="120 characters that anybody wrote go to everybody who reads events",
    ),
    Defect(
        name="events-quote-a-message-id",
        file="mosaic_core/domain/ids.py",
        old='    return text if not text or _PLAIN.fullmatch(text) else derive("opaque", text)',
        new="    return text",
        caught_by=(
            "tests/unit/test_telemetry.py::TestEvents::test_an_undecodable_message_shows_only_what_looks_like_an_id",
        ),
        what="a message id that holds a sentence goes to everybody who reads events",
    ),
    Defect(
        name="a-redelivery-is-another-event",
        file=_TELEMETRY,
        old="    which = (str(sequence_number), outcome) if kind in _OF_A_MESSAGE else ()",
        new="    which = (str(sequence_number), outcome)",
        caught_by=(
            "tests/unit/test_telemetry.py::TestEvents::"
            "test_an_attempts_event_has_one_id_whichever_message_brought_it_about",
        ),
        what="whoever counts events counts an attempt twice",
    ),
    Defect(
        name="connection-strings-are-shown",
        file="mosaic_core/config/connections.py",
        old='    connection_string: str = field(default="", repr=False)',
        new='    connection_string: str = ""',
        caught_by=(_CONFIG_TESTS + "test_no_secret_is_shown",),
        what="a log line that shows the settings shows the keys",
    ),
    # ---------------------------------------------------------------------------------------------------- settlement
    Defect(
        name="abandoning-completes",
        file="mosaic_core/adapters/host_settlement.py",
        old='self._call("Abandon", message',
        new='self._call("Complete", message',
        caught_by=("tests/contract/test_messaging_settlement.py::test_abandon_changes_no_property",),
        what="a message that was to come again is gone",
    ),
    Defect(
        name="dead-letters-without-a-reason",
        file="mosaic_core/adapters/host_settlement.py",
        old="            + _string_value(3, reason[:MAX_TEXT])\n",
        new="",
        caught_by=("tests/contract/test_messaging_settlement.py::test_dead_letter_gives_reason_and_description",),
        what="nobody can tell why a message is in the dead-letter queue",
    ),
    Defect(
        name="a-lost-lock-is-no-error",
        file="mosaic_core/adapters/host_settlement.py",
        old='            log.debug("the host refused a settlement"',
        new='            return log.debug("the host refused a settlement"',
        caught_by=(
            "tests/contract/test_messaging_settlement.py::test_a_lost_lock_is_a_transient_error_with_the_codes_name",
        ),
        what="a settlement that failed passes for one that is done",
    ),
    # ------------------------------------------------------------------------------------------------------ settings
    Defect(
        name="messages-complete-by-themselves",
        file="host.json",
        old='"autoCompleteMessages": false',
        new='"autoCompleteMessages": true',
        caught_by=(_CONFIG_TESTS + "test_the_shipped_host_json_leaves_settling_and_waiting_to_the_app",),
        what="a message is completed by the host before the command is committed",
    ),
    Defect(
        name="locks-end-before-lanes",
        file="host.json",
        old='"maxAutoLockRenewalDuration": "00:08:00"',
        new='"maxAutoLockRenewalDuration": "00:03:00"',
        caught_by=(_CONFIG_TESTS + "test_the_shipped_host_json_fits_the_defaults",),
        what="a lane at work loses its message to a second delivery",
    ),
    Defect(
        name="messages-wait-in-the-process",
        file="host.json",
        old='"prefetchCount": 0',
        new='"prefetchCount": 100',
        caught_by=(_CONFIG_TESTS + "test_the_shipped_host_json_leaves_settling_and_waiting_to_the_app",),
        what="the locks of messages that wait in memory run out: deliveries burn that nobody began",
    ),
    Defect(
        name="a-deadline-may-be-the-lock-s-end",
        file="mosaic_core/config/host_json.py",
        old="deadline_seconds + more >= limit:",
        new="deadline_seconds + more > limit:",
        caught_by=(_CONFIG_TESTS + "test_what_a_delivery_may_wait_for_counts_with_its_deadline",),
        what="a lane that uses its deadline loses its lock in the same moment",
    ),
    Defect(
        name="waits-do-not-count-with-the-deadline",
        file="mosaic_core/config/host_json.py",
        old="deadline_seconds + more >= limit:",
        new="deadline_seconds >= limit:",
        caught_by=(_CONFIG_TESTS + "test_what_a_delivery_may_wait_for_counts_with_its_deadline",),
        what="a delivery that waited for its place outlives functionTimeout, and the host kills all that is in flight",
    ),
    Defect(
        name="a-slip-of-the-pen-is-another-programs-setting",
        file="mosaic_core/config/reader.py",
        old="_NEAR: Final = 0.85",
        new="_NEAR: Final = 1.0",
        caught_by=(
            _CONFIG_TESTS + "test_a_fault_is_named_with_its_remedy",
            _DARK_TESTS + "a_setting_that_is_wrong_is_named",
        ),
        what="a misspelt setting is ignored in silence",
    ),
    Defect(
        name="only-settings-are-caught",
        file="function_app.py",
        old="except BaseException as failure:",
        new="except ValueError as failure:",
        caught_by=(_DARK_TESTS + "whatever_is_raised_is_caught_and_told_by_its_type",),
        what="an app with zero functions, and no trace of why",
    ),
    Defect(
        name="the-hub-is-required",
        file="mosaic_core/adapters/probes.py",
        old='    name = "eventHub"\n    required = False',
        new='    name = "eventHub"\n    required = True',
        caught_by=(_DARK_TESTS + "a_dependency_that_is_away_is_named",),
        what="telemetry that is away, which commands do without, takes the instance out of service",
    ),
    Defect(
        name="a-deaf-dependency-holds-readiness-up",
        file="mosaic_core/services/health.py",
        old="        await asyncio.wait({task}, timeout=PROBE_SECONDS)\n",
        new="        await asyncio.wait_for(task, PROBE_SECONDS)\n",
        caught_by=(_DARK_TESTS + "a_dependency_that_is_away_is_named",),
        what="one dependency that does not answer keeps health from answering",
    ),
    Defect(
        name="receiving-is-not-looked-at",
        file="mosaic_core/adapters/servicebus.py",
        old="                await link.probe_receiving()\n",
        new="",
        caught_by=(_DARK_TESTS + "a_dependency_that_is_away_is_named",),
        what="the receiver's role is missing, and the instance says that it is ready",
    ),
    Defect(
        name="a-refused-token-has-no-reason",
        file="mosaic_core/adapters/refused_tokens.py",
        old="    return _condition.get() == NOT_FOUND if status is None else status == 404\n",
        new="    return status == 404\n",
        caught_by=(_DARK_TESTS + "a_dependency_that_is_away_is_named",),
        what="a queue that is missing on Azure is told as a missing role",
    ),
    Defect(
        name="argv-alone-names-the-host",
        file="mosaic_core/adapters/host_settlement.py",
        old="lines = (sys.argv[1:], _started_with())",
        new="lines = (sys.argv[1:],)",
        caught_by=(
            "tests/unit/test_settlement_wire.py::"
            "test_what_the_process_was_started_with_counts_where_its_arguments_were_rewritten",
        ),
        what="a library that rewrites argv leaves every message unsettled",
    ),
    Defect(
        name="a-drain-needs-the-importing-thread",
        file="mosaic_core/bootstrap.py",
        old="        self.drain_on_terminate()\n        return self.delivery\n",
        new="        return self.delivery\n",
        caught_by=(
            "tests/unit/test_drain.py::test_a_container_that_was_built_in_a_thread_drains_from_its_first_message_on",
        ),
        what="a termination of a worker that loads functions beside its loop is a crash",
    ),
    Defect(
        name="tokens-over-plain-http",
        file="mosaic_core/config/kinds.py",
        old="return text if is_safe_url(text) else Wrong(NOT_HTTPS, HTTPS)",
        new="return text",
        caught_by=(_CONFIG_TESTS + "test_a_fault_is_named_with_its_remedy",),
        what="the issuer's keys come over a wire that anybody can write on",
    ),
    # --------------------------------------------------------------------------------------------------------- drain
    Defect(
        name="who-comes-late-is-not-told-of-the-drain",
        file="mosaic_core/services/drain.py",
        old="        if self.draining:\n            listener()\n        else:\n",
        new="        if True:\n",
        caught_by=("tests/unit/test_drain.py::test_who_comes_late_is_told_at_once",),
        what="a lane begins on a worker that is ending, and is killed with it",
    ),
    Defect(
        name="a-forgetful-listener-hides-another",
        file="mosaic_core/services/drain.py",
        old="            for listener in tuple(self._listeners):",
        new="            for listener in self._listeners:",
        caught_by=(
            "tests/unit/test_drain.py::test_a_listener_that_forgets_itself_meanwhile_keeps_no_other_from_being_told",
        ),
        what="one of two lanes is not ended by the drain",
    ),
    # -------------------------------------------------------------------------------------------------------- health
    Defect(
        name="one-that-answers-is-enough",
        file="mosaic_core/services/health.py",
        old="ready = all(",
        new="ready = any(",
        caught_by=("tests/unit/test_http_reading.py::test_not_ready_where_one_does_not_answer_and_names_no_endpoint",),
        what="an instance without its broker is given work",
    ),
    Defect(
        name="every-caller-asks-the-dependencies",
        file="mosaic_core/services/health.py",
        old="        if self.monotonic() >= until:",
        new="        if until:",
        caught_by=("tests/unit/test_http_reading.py::test_many_callers_ask_the_dependencies_once",),
        what="anonymous callers make this app flood what it builds on",
    ),
)
