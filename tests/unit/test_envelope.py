"""The envelope: what decodes, what is poison and under which name, and that poison is told without its value."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mosaic_core.domain import envelope as envelope_module
from mosaic_core.domain.envelope import (
    MAX_BODY_BYTES,
    AgentMessagePosted,
    IngestionCompleted,
    PolicyDisposition,
    decode,
    encode,
    request_hash,
)
from mosaic_core.domain.errors import InvalidEnvelopeError, InvalidJsonError
from mosaic_core.domain.lanes import CommandType, Lane

HOUSEHOLD = "a11ce000000000000000000000000001"
USER = "a11ce000000000000000000000000002"
CONVERSATION = "c0000000000000000000000000000001"


def message(**changes: Any) -> dict[str, Any]:
    return {
        "commandId": "11111111-2222-3333-4444-555555555555",
        "correlationId": "agent:x",
        "commandType": "agent_message_posted",
        "createdAtUtc": "2026-11-24T02:57:33.1234567Z",
        "payload": {
            "householdId": HOUSEHOLD,
            "conversationId": CONVERSATION,
            "householdUserId": USER,
            "message": "  What did I spend?  ",
        },
    } | changes


def batch(**line: Any) -> dict[str, Any]:
    transaction = {
        "transactionId": "t1",
        "postedOn": "2026-01-31",
        "amount": "-12.50",
        "currency": "USD",
        "description": "COFFEE",
    } | line
    payload = {
        "householdId": HOUSEHOLD,
        "batchId": "b1",
        "source": "test",
        "accountId": "checking",
        "transactions": [transaction],
    }
    return message(commandType="ingestion_completed", payload=payload)


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_a_message_decodes_to_normal_form() -> None:
    envelope = decode(body(message()), Lane.CONVERSATION)
    assert envelope.command_id == "11111111222233334444555555555555"
    assert envelope.household_id == HOUSEHOLD
    assert envelope.conversation_id == CONVERSATION
    assert envelope.created_at.isoformat() == "2026-11-24T02:57:33.123456+00:00"
    assert isinstance(envelope.payload, AgentMessagePosted)
    assert envelope.payload.message == "What did I spend?"


def test_unknown_envelope_fields_are_ignored() -> None:
    assert decode(body(message(shinyNewField={"x": 1})), Lane.CONVERSATION).supported


@pytest.mark.parametrize(
    "spelling",
    [
        "11111111222233334444555555555555",
        "11111111-2222-3333-4444-555555555555",
        "{11111111-2222-3333-4444-555555555555}",
        "(11111111-2222-3333-4444-555555555555)",
        "urn:uuid:11111111-2222-3333-4444-555555555555",
    ],
)
def test_guids_are_accepted_in_any_usual_spelling(spelling: str) -> None:
    assert (
        decode(body(message(commandId=spelling)), Lane.CONVERSATION).command_id
        == "1111111122223333" + "4444555555555555"
    )


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{} trailing", "not JSON"),
        (b'{"a": 1', "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"[]", "not an object"),
        (b"null", "not an object"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "NaN or Infinity"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "too large"),
        (b'{"a": ' + b"9" * 41 + b"}", "too long"),
        (b'{"a": 0.' + b"1" * 40 + b"}", "too long"),
        (b'{"a": -1e400}', "too large"),
        (b'{"a": "' + b"x" * MAX_BODY_BYTES + b'"}', "larger than"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": {"b": 1, "b": 1}}', "twice"),
        (b'{"a": ' + b"[" * 64 + b"]" * 64 + b"}", "deeper"),
        (b'{"a":' * 100_000, "deeper"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b'{"a": [{"b": "\\udc00\\ud800"}]}', "surrogate"),
        (b'{"a": "\xed\xa0\x80"}', "not UTF-8"),
    ],
)
def test_invalid_json(raw: bytes, why: str) -> None:
    with pytest.raises(InvalidJsonError, match=why):
        decode(raw, Lane.CONVERSATION)


def test_sixty_four_levels_are_still_json() -> None:
    with pytest.raises(InvalidEnvelopeError):
        decode(b'{"a": ' + b"[" * 63 + b"]" * 63 + b', "b": [[], {}]}', Lane.CONVERSATION)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"commandId": None}, "commandId"),
        ({"commandId": "not-a-guid"}, "commandId"),
        ({"commandId": 5}, "commandId"),
        ({"correlationId": ""}, "correlationId"),
        ({"correlationId": "   "}, "correlationId"),
        ({"correlationId": "x" * 121}, "correlationId"),
        ({"correlationId": "a\x00b"}, "correlationId"),
        ({"commandType": ["agent_message_posted"]}, "commandType"),
        ({"createdAtUtc": "yesterday"}, "createdAtUtc"),
        ({"createdAtUtc": "0000-01-01T00:00:00Z"}, "createdAtUtc"),
        ({"createdAtUtc": "0001-01-01T00:00:00Z"}, "createdAtUtc"),
        ({"createdAtUtc": "2026-11-24T00:00:00"}, "createdAtUtc"),
        ({"createdAtUtc": 1700000000}, "createdAtUtc"),
        ({"createdAtUtc": "1700000000"}, "createdAtUtc"),
        ({"createdAtUtc": "1e400"}, "createdAtUtc"),
        ({"commandId": "0" * 32}, "commandId"),
        ({"replayOfCommandId": "00000000-0000-0000-0000-000000000000"}, "replayOfCommandId"),
        ({"schemaVersion": 2**31}, "schemaVersion"),
        ({"schemaVersion": -1}, "schemaVersion"),
        ({"schemaVersion": "1"}, "schemaVersion"),
        ({"schemaVersion": True}, "schemaVersion"),
        ({"payload": []}, "payload"),
        ({"payload": None}, "payload"),
        ({"payload": {}}, "payload.householdId"),
    ],
)
def test_invalid_envelope_names_the_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidEnvelopeError) as caught:
        decode(body(message(**changes)), Lane.CONVERSATION)
    assert field in caught.value.rationale


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ({"amount": "twelve"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"amount": "1e5"}, "amount"),
        ({"amount": 12.5}, "amount"),
        ({"amount": "1" * 30}, "amount"),
        ({"postedOn": "0000-01-01"}, "postedOn"),
        ({"postedOn": "1899-12-31"}, "postedOn"),
        ({"postedOn": "9999-01-01"}, "postedOn"),
        ({"postedOn": "9999-12-31"}, "postedOn"),
        ({"postedOn": "2026-02-30"}, "postedOn"),
        ({"postedOn": "2026-01-31T00:00:00"}, "postedOn"),
        ({"currency": "usd"}, "currency"),
        ({"currency": "XXQ"}, "currency"),
        ({"description": "x" * 201}, "description"),
        ({"transactionId": ""}, "transactionId"),
        ({"transactionId": "a\u0000"}, "transactionId"),
    ],
)
def test_a_bad_transaction_is_named(line: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidEnvelopeError, match=rf"payload\.transactions\.0\.{field}"):
        decode(body(batch(**line)), Lane.INGESTION)


@pytest.mark.parametrize(
    "time",
    [
        "9999-12-31T23:59:59-14:00",
        "9999-12-31T23:59:59Z",
        "9999-01-01T00:00:00Z",
        "9998-12-31T23:59:59-00:01",
        "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00+00:01",
        "0001-01-01T00:00:00+14:00",
    ],
)
def test_a_time_at_the_edge_of_the_calendar_is_poison(time: str) -> None:
    with pytest.raises(InvalidEnvelopeError, match=r"createdAtUtc: is not within the years 1970 to 9998"):
        decode(body(message(createdAtUtc=time)), Lane.CONVERSATION)


@pytest.mark.parametrize("time", ["1970-01-01T00:00:00Z", "9999-01-01T13:59:59+14:00", "9998-12-31T23:59:59.999999Z"])
def test_the_first_and_the_last_times_are_taken(time: str) -> None:
    assert decode(body(message(createdAtUtc=time)), Lane.CONVERSATION).supported


@pytest.mark.parametrize("day", ["1900-01-01", "9998-12-31"])
def test_the_first_and_the_last_days_are_taken(day: str) -> None:
    assert decode(body(batch(postedOn=day)), Lane.INGESTION).supported


@pytest.mark.parametrize("day", ["1899-12-31", "9999-01-01", "9999-12-31"])
def test_a_sweep_of_a_night_that_cannot_be_calculated_with_is_poison(day: str) -> None:
    sweep = message(commandType="nightly_anomaly_sweep", payload={"householdId": HOUSEHOLD, "sweepDate": day})
    with pytest.raises(InvalidEnvelopeError, match=r"payload\.sweepDate"):
        decode(body(sweep), Lane.SWEEP)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_depth_is_found_before_the_parser_recurses(monkeypatch: pytest.MonkeyPatch, opening: bytes) -> None:
    def parser(*_: object, **__: object) -> None:
        raise AssertionError("a thread with a small stack would be gone by now")

    monkeypatch.setattr(json, "loads", parser)
    with pytest.raises(InvalidJsonError, match="deeper"):
        decode(b'{"a":' + opening * 100_000, Lane.CONVERSATION)


@pytest.mark.parametrize("note", ["[" * 200, '\\"' + "{" * 200, '"' * 100 + "[" * 100, "\\" * 99 + "[" * 100])
def test_brackets_of_a_text_are_no_depth(note: str) -> None:
    value = message()
    value["payload"]["userNote"] = note
    assert decode(body(value), Lane.CONVERSATION).supported


@pytest.mark.parametrize("field", ["householdId", "conversationId", "householdUserId"])
def test_a_guid_of_zeros_is_an_empty_field(field: str) -> None:
    value = message()
    value["payload"][field] = "00000000-0000-0000-0000-000000000000"
    with pytest.raises(InvalidEnvelopeError, match=rf"payload\.{field}: is the empty GUID"):
        decode(body(value), Lane.CONVERSATION)


@pytest.mark.parametrize("spelt", ["0" * 32, "00000000-0000-0000-0000-000000000000"])
def test_a_batch_has_no_id_of_zeros(spelt: str) -> None:
    value = batch()
    value["payload"]["batchId"] = spelt
    with pytest.raises(InvalidEnvelopeError, match=r"payload\.batchId"):
        decode(body(value), Lane.INGESTION)


def test_what_nobody_thought_of_is_poison_that_names_the_type_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise ZeroDivisionError("my card is 4111 1111")

    monkeypatch.setattr(envelope_module, "hash_request", broken)
    with pytest.raises(InvalidEnvelopeError) as caught:
        decode(body(message()), Lane.CONVERSATION)
    assert caught.value.rationale == "body: cannot be read (ZeroDivisionError)"
    assert caught.value.__suppress_context__


def test_a_process_without_memory_condemns_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> str:
        raise MemoryError

    monkeypatch.setattr(envelope_module, "hash_request", full)
    with pytest.raises(MemoryError):
        decode(body(message()), Lane.CONVERSATION)


def test_five_hundred_and_one_transactions_are_too_many() -> None:
    value = batch()
    value["payload"]["transactions"] *= 501
    with pytest.raises(InvalidEnvelopeError, match=r"payload\.transactions"):
        decode(body(value), Lane.INGESTION)


@pytest.mark.parametrize("blob", [None, "x" * 32 + "/" + "0" * 64, "../" + "0" * 64, f"{HOUSEHOLD}/short"])
def test_a_batch_has_transactions_or_a_well_named_blob(blob: str | None) -> None:
    value = batch()
    del value["payload"]["transactions"]
    if blob:
        value["payload"]["transactionsBlob"] = blob
    with pytest.raises(InvalidEnvelopeError):
        decode(body(value), Lane.INGESTION)


def test_poison_never_repeats_the_value() -> None:
    secret = "my card is 4111 1111"
    value = message(commandId=secret, correlationId=secret * 10)
    value["payload"]["message"] = 5
    value["payload"][secret] = secret
    with pytest.raises(InvalidEnvelopeError) as caught:
        decode(body(value), Lane.CONVERSATION)
    assert "4111" not in str(caught.value)


@pytest.mark.parametrize("lane", [Lane.INGESTION, Lane.SWEEP])
def test_a_type_of_another_lane_is_unsupported_not_poison(lane: Lane) -> None:
    envelope = decode(body(message()), lane)
    assert not envelope.supported
    assert envelope.household_id == HOUSEHOLD


@pytest.mark.parametrize("lane", list(Lane))
def test_the_hash_does_not_depend_on_the_lane_that_reads_it(lane: Lane) -> None:
    spelt = message()
    spelt["payload"] = dict(reversed(spelt["payload"].items())) | {
        "householdId": "{A11CE000-0000-0000-0000-000000000001}",
        "policyDisposition": "advisory_only",
    }
    ours = decode(body(message()), Lane.CONVERSATION).request_hash
    assert decode(body(message()), lane).request_hash == ours
    assert decode(body(spelt), lane).request_hash == ours
    amounts = {decode(body(batch(amount=a)), lane).request_hash for a in ("-12.5", "-12.50")}
    assert amounts == {decode(body(batch()), Lane.INGESTION).request_hash}


def test_a_type_of_another_lane_whose_payload_does_not_hold_is_unsupported_all_the_same() -> None:
    value = message(commandType="ingestion_completed")
    with pytest.raises(InvalidEnvelopeError):
        decode(body(value), Lane.INGESTION)
    one, other = decode(body(value), Lane.CONVERSATION), decode(body(value), Lane.SWEEP)
    assert not one.supported
    assert one.household_id == HOUSEHOLD
    assert one.conversation_id == CONVERSATION
    assert one.request_hash == other.request_hash


@pytest.mark.parametrize("lane", list(Lane))
def test_an_unknown_type_hashes_by_what_it_says_not_by_how_it_is_spelt(lane: Lane) -> None:
    def of(payload: str) -> str:
        text = json.dumps(message(commandType="a_newer_type", payload="here")).replace('"here"', payload)
        return decode(text.encode(), lane).request_hash

    one = of('{"a": 1, "b": [0.5, 100, {"c": "é"}], "d": 0}')
    assert of('{"d":-0.0,"b":[5e-1,1e2,{"c":"\\u00e9"}],"a":1.0}') == one
    assert of('{"a": 2, "b": [0.5, 100, {"c": "é"}], "d": 0}') != one
    assert of('{"a": true, "b": [0.5, 100, {"c": "é"}], "d": 0}') != one
    assert of('{"a": 1, "b": [0.5, {"c": "é"}, 100], "d": 0}') != one


def test_fields_have_one_spelling_only() -> None:
    value = message()
    value["payload"]["household_id"] = value["payload"].pop("householdId")
    with pytest.raises(InvalidEnvelopeError, match="householdId"):
        decode(body(value), Lane.CONVERSATION)


def test_the_header_s_fields_have_one_spelling_only() -> None:
    value = message()
    value["command_id"] = value.pop("commandId")
    with pytest.raises(InvalidEnvelopeError, match="commandId"):
        decode(body(value), Lane.CONVERSATION)


def test_an_approval_has_no_default_decision() -> None:
    payload = {"householdId": HOUSEHOLD, "conversationId": CONVERSATION, "householdUserId": USER, "approvalId": USER}
    with pytest.raises(InvalidEnvelopeError, match=r"payload\.decision"):
        decode(body(message(commandType="agent_approval_submitted", payload=payload)), Lane.CONVERSATION)


def test_the_request_hash_is_of_type_and_payload_only() -> None:
    one = decode(body(message()), Lane.CONVERSATION)
    same = message(createdAtUtc="2026-11-25T00:00:00Z", clientReferenceId="again", correlationId="other")
    same["payload"] = dict(reversed(same["payload"].items())) | {
        "policyDisposition": "approval_required",
        "householdId": "{A11CE000-0000-0000-0000-000000000001}",
        "newerField": 1,
    }
    other = message()
    other["payload"] = other["payload"] | {"message": "another"}
    assert decode(body(same), Lane.CONVERSATION).request_hash == one.request_hash
    assert decode(body(other), Lane.CONVERSATION).request_hash != one.request_hash


def test_amounts_hash_alike_however_they_are_written() -> None:
    hashes = {decode(body(batch(amount=a)), Lane.INGESTION).request_hash for a in ("-12.5", "-12.50", "-12.500")}
    assert len(hashes) == 1
    assert decode(body(batch(amount="-0")), Lane.INGESTION).request_hash == (
        decode(body(batch(amount="0.00")), Lane.INGESTION).request_hash
    )


def test_encode_and_decode_agree_on_the_hash() -> None:
    first = decode(body(batch()), Lane.INGESTION)
    assert isinstance(first.payload, IngestionCompleted)
    text = encode(
        command_id=first.command_id,
        correlation_id="c",
        command_type=CommandType.INGESTION_COMPLETED,
        created_at=first.created_at,
        payload=first.payload,
        client_reference_id="b1",
    )
    again = decode(text.encode(), Lane.INGESTION)
    assert again.request_hash == first.request_hash == request_hash(CommandType.INGESTION_COMPLETED, first.payload)
    assert again.client_reference_id == "b1"


def test_the_disposition_is_a_hint_from_a_closed_list() -> None:
    value = message()
    value["payload"]["policyDisposition"] = "approved_by_human"
    envelope = decode(body(value), Lane.CONVERSATION)
    assert isinstance(envelope.payload, AgentMessagePosted)
    assert envelope.payload.policy_disposition is PolicyDisposition.APPROVED_BY_HUMAN
    value["payload"]["policyDisposition"] = "do_it_anyway"
    with pytest.raises(InvalidEnvelopeError, match="policyDisposition"):
        decode(body(value), Lane.CONVERSATION)
