"""The AsyncAPI document and its schemas: valid in themselves, and valid by a schema is what the worker's parser takes.

tests/support/asyncapi-3.0.0.schema.json is AsyncAPI's own schema of the document (package @asyncapi/specs 6.11.1,
Apache-2.0), without its descriptions and examples.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mosaic_core import notices, telemetry
from mosaic_core.adapters.eventhubs import cloud_event
from mosaic_core.domain.envelope import decode, normal_length
from mosaic_core.domain.errors import PoisonError
from mosaic_core.domain.lanes import RULES, CommandType, Lane
from mosaic_core.entrypoints import asyncapi
from mosaic_core.ports import RuntimeEvent
from tests.contract.test_openapi_rules import TEXTS
from tests.support import bodies
from tests.support.api import ApiWorld
from tests.support.examples import examples
from tests.support.world import Work, World
from tests.unit.test_told import approval, finding

SUPPORT: Final = Path(__file__).resolve().parents[1] / "support"
GUID: Final = "a11ce000-0000-0000-0000-000000000001"
HEX: Final = "a11ce000000000000000000000000001"
NOW: Final = datetime(2026, 11, 24, 12, 0, 0, 250_000, tzinfo=UTC)

PAYLOADS: Final[dict[CommandType, list[dict[str, Any]]]] = {
    CommandType.AGENT_MESSAGE_POSTED: [
        {
            "householdId": GUID,
            "conversationId": GUID,
            "householdUserId": HEX,
            "message": "What did I spend?",
            "userNote": "for the tax",
            "policyDisposition": "advisory_only",
        }
    ],
    CommandType.AGENT_APPROVAL_SUBMITTED: [
        {
            "householdId": GUID,
            "conversationId": GUID,
            "householdUserId": GUID,
            "approvalId": GUID,
            "decision": "Approve",
            "rationale": "fine",
            "policyDisposition": None,
        }
    ],
    CommandType.AGENT_APPROVAL_DUE: [{"householdId": GUID, "conversationId": GUID, "approvalId": GUID}],
    CommandType.INGESTION_COMPLETED: [
        {
            "householdId": GUID,
            "batchId": "2026-11.csv",
            "source": "bank",
            "accountId": "giro",
            "transactions": [
                {
                    "transactionId": "t-1",
                    "postedOn": "2026-11-01",
                    "amount": "-12.50",
                    "currency": "EUR",
                    "description": "Coffee",
                    "merchantName": "Café",
                    "categoryHint": "food",
                    "counterpartyAccountId": None,
                }
            ],
        },
        {
            "householdId": GUID,
            "batchId": GUID,
            "source": "bank",
            "accountId": "giro",
            "transactionsBlob": f"{HEX}/{'0a' * 32}",
        },
    ],
    CommandType.NIGHTLY_ANOMALY_SWEEP: [{"householdId": GUID, "sweepDate": "2026-11-01", "lookbackDays": 180}],
}
OTHERS: Final[list[Any]] = [None, True, False, 0, 1, 6, 7, 730, 731, -1, 1.5, 2**31 - 1, 2**31, [], ["x"], {}, {"x": 1}]


def envelope(kind: CommandType, payload: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "commandId": GUID,
        "correlationId": f"agent:{HEX}:{HEX}:{HEX}",
        "commandType": kind.value,
        "createdAtUtc": "2026-01-31T08:00:00Z",
        "clientReferenceId": "c-1",
        "replayOfCommandId": None,
        "schemaVersion": 1,
        "payload": dict(payload),
    }


ENVELOPES: Final = [(kind, envelope(kind, payload)) for kind, payloads in PAYLOADS.items() for payload in payloads]
A_TIME: Final = jsonschema_rs.Draft202012Validator(asyncapi.TIME, validate_formats=True)
LANES: Final = {kind: lane for lane, its in RULES.items() for kind in its.command_types}


@cache
def validator(name: str) -> Any:
    return jsonschema_rs.Draft202012Validator(asyncapi.schemas()[name], validate_formats=True)


def valid(lane: Lane, body: object) -> bool:
    return bool(validator(f"commands-{lane.value}.schema.json").is_valid(body))


def accepted(lane: Lane, body: object) -> bool:
    """Whether the worker's parser takes it as one of the lane's commands."""
    try:
        return decode(json.dumps(body, ensure_ascii=False).encode(), lane).supported
    except PoisonError:
        return False


def leaves(value: Any) -> Iterator[Any]:
    match value:
        case dict():
            for key, item in value.items():
                yield key
                yield from leaves(item)
        case list():
            for item in value:
                yield from leaves(item)
        case _:
            yield value


def can_be_said(body: Any) -> bool:
    """Whether the schema says all of it; the rest is in words (`asyncapi.RULES_OF_ALL`)."""
    for leaf in leaves(body):
        if isinstance(leaf, float) and leaf.is_integer():
            return False
        if isinstance(leaf, str) and (leaf != leaf.strip() or normal_length(leaf) > 2 * max(1, len(leaf))):
            return False
    created = body.get("createdAtUtc") if isinstance(body, dict) else None
    lenient = isinstance(created, str) and not A_TIME.is_valid(created)
    return not (lenient and accepted_time(created))


def accepted_time(created: object) -> bool:
    """Spelt in a way that is taken besides the schema's."""
    kind, plain = ENVELOPES[0]
    return accepted(LANES[kind], plain | {"createdAtUtc": created})


def agree(lane: Lane, body: Any) -> bool:
    """Fails where schema and parser differ; whether both take it."""
    takes = accepted(lane, body)
    assert valid(lane, body) == takes, (takes, json.dumps(body)[:500])
    return takes


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def put(body: Any, path: tuple[str | int, ...], value: Any) -> Any:
    if not path:
        return value
    out = copy.deepcopy(body)
    inner = out
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return out


def without(body: Any, path: tuple[str | int, ...]) -> Any:
    out = copy.deepcopy(body)
    inner = out
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    return out


# -------------------------------------------------------------------------------------------------------- the document


def test_the_document_is_valid_by_asyncapi_s_own_schema() -> None:
    schema = json.loads((SUPPORT / "asyncapi-3.0.0.schema.json").read_text("utf-8"))
    asks = jsonschema_rs.Draft7Validator(schema)
    document = asyncapi.document()
    assert [error.message for error in asks.iter_errors(document)] == []
    for name in ("info", "asyncapi"):
        assert not asks.is_valid({key: value for key, value in document.items() if key != name})
    assert not asks.is_valid(document | {"operations": {"x": {"action": "devour"}}})


async def test_the_api_serves_it_to_anybody() -> None:
    answer = await ApiWorld().get("/asyncapi.json", token=None)
    assert (answer.status, answer.json) == (200, asyncapi.document())


def test_every_reference_of_the_document_leads_somewhere() -> None:
    document = asyncapi.document()

    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if "schemaFormat" in value:  # whole in itself
                return
            if isinstance(reference := value.get("$ref"), str):
                yield reference
            for item in value.values():
                yield from references(item)
        elif isinstance(value, list):
            for item in value:
                yield from references(item)

    found = set(references(document))
    assert len(found) > 8
    for reference in found:
        target: Any = document
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]


@pytest.mark.parametrize("name", asyncapi.schemas())
def test_every_schema_is_one_of_draft_2020_12(name: str) -> None:
    schema = asyncapi.schemas()[name]
    assert schema["$schema"] == asyncapi.DRAFT
    assert jsonschema_rs.meta.is_valid(schema)
    assert not validator(name).is_valid({})


def test_the_channels_are_the_queues_and_the_hub() -> None:
    channels = asyncapi.document()["channels"]
    assert {c["address"] for c in channels.values()} == {r.default_queue for r in RULES.values()} | {asyncapi.HUB}


# ---------------------------------------------------------------------------------------------- schema and parser agree


@pytest.mark.parametrize(("kind", "body"), ENVELOPES, ids=[f"{n}-{k.value}" for n, (k, _) in enumerate(ENVELOPES)])
def test_at_every_place_schema_and_parser_agree(kind: CommandType, body: dict[str, Any]) -> None:
    lane = LANES[kind]
    assert agree(lane, body)
    taken, refused = 0, 0
    for path in places(body):
        changed = [put(body, path, value) for value in (*TEXTS, *OTHERS)]
        if path:
            changed.append(without(body, path))
        for one in changed:
            if can_be_said(one):
                took = agree(lane, one)
                taken, refused = taken + took, refused + (not took)
    assert min(taken, refused) > 50


def test_a_command_is_valid_on_its_own_lane_alone() -> None:
    for kind, body in ENVELOPES:
        assert [lane for lane in Lane if agree(lane, body)] == [LANES[kind]]


def test_an_unknown_field_is_taken_and_an_ingestion_has_one_source() -> None:
    for kind, body in ENVELOPES:
        assert agree(LANES[kind], body | {"newer": {"than": ["this"]}})
        assert agree(LANES[kind], put(body, ("payload", "newer"), 1))
    inline, blob = (body for kind, body in ENVELOPES if kind == CommandType.INGESTION_COMPLETED)
    both = put(inline, ("payload", "transactionsBlob"), blob["payload"]["transactionsBlob"])
    assert not agree(Lane.INGESTION, both)
    assert agree(Lane.INGESTION, put(blob, ("payload", "transactions"), None))
    assert not agree(Lane.INGESTION, without(blob, ("payload", "transactionsBlob")))
    line = inline["payload"]["transactions"][0]
    assert agree(Lane.INGESTION, put(inline, ("payload", "transactions"), [line] * 500))
    assert not agree(Lane.INGESTION, put(inline, ("payload", "transactions"), [line] * 501))


_POOL = st.one_of(
    st.sampled_from([*TEXTS, *OTHERS, *bodies.TIMES, *bodies.DAYS, *bodies.AMOUNTS]),
    st.text(max_size=50),
    st.integers(-(2**40), 2**40),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)


@given(st.sampled_from(ENVELOPES), st.sampled_from(list(Lane)), st.lists(st.tuples(st.integers(0), _POOL), max_size=3))
@settings(max_examples=examples(70, slow=200), deadline=None)
def test_whatever_is_changed_schema_and_parser_agree(
    chosen: tuple[CommandType, dict[str, Any]], other: Lane, changes: list[tuple[int, Any]]
) -> None:
    kind, body = chosen
    for where, value in changes:
        found = [path for path in places(body) if path]
        if not found:
            break
        body = put(body, found[where % len(found)], value)
    if can_be_said(body):
        agree(LANES[kind], body)
        agree(other, body)


def test_what_nobody_sent_on_purpose_is_judged_alike() -> None:
    """Bodies built to hurt, as far as JSON Schema can read them at all: a schema never takes what the parser refuses
    by its fields."""
    both = 0
    for seed in range(600):
        try:
            raw = bodies.body(seed)
            body, readable = json.loads(raw), decode_reads(raw)
        except (ValueError, RecursionError):
            continue
        if readable and can_be_said(body):
            both += sum(agree(lane, body) for lane in Lane)
    assert both > 20


def decode_reads(raw: bytes) -> bool:
    try:
        decode(raw, Lane.SWEEP)
    except PoisonError as error:
        return error.code != "invalid_json"
    return True


def test_what_no_schema_can_say_is_said_in_words() -> None:
    kind, body = next(one for one in ENVELOPES if one[0] == CommandType.NIGHTLY_ANOMALY_SWEEP)
    lane = LANES[kind]
    fraction = put(body, ("payload", "lookbackDays"), 30.0)
    assert (valid(lane, fraction), accepted(lane, fraction)) == (True, False)
    for created in (
        "2026-01-31 08:00:00Z",
        "2026-01-31T08:00Z",
        "2026-01-31T08:00:00+0100",
        "1970-01-01T08:00:00+01:00",
    ):
        lenient = body | {"createdAtUtc": created}
        assert (valid(lane, lenient), accepted(lane, lenient)) == (False, True)
    for words in ("no fraction", "without seconds", "+0100", "trimmed", "normal form", "key twice", "byte order mark"):
        assert words in asyncapi.RULES_OF_ALL


# ------------------------------------------------------------------------------------------------------------ the hub


def told(event: RuntimeEvent) -> list[str]:
    body = json.loads(json.dumps(cloud_event(event)))
    return [error.message for error in validator("events.schema.json").iter_errors(body)]


@pytest.mark.parametrize("ends", [["success"], ["review"], ["fail", "success"], ["fail"]])
async def test_every_event_of_a_command_s_life_is_valid(ends: list[str]) -> None:
    world = World(Work(ends))
    await world.send()
    await world.run()
    kinds = {event.type for event in world.publisher.events}
    assert len(kinds) >= 2
    for event in world.publisher.events:
        assert told(event) == [], event


def test_every_event_of_what_waits_for_a_person_is_valid() -> None:
    of_approval = [notices.approval_requested(approval()), notices.approval_expiring(approval())]
    events = [*of_approval, *notices.of_signal(finding()), *notices.of_signal(replace(finding(), household_id=None))]
    assert {event.type for event in events} == {notices.TYPE_PREFIX + kind for kind in notices.NOTICES}
    for event in events:
        assert told(event) == [], event


def test_the_document_names_every_type_of_event() -> None:
    of_commands = telemetry.EventKind.__value__.__args__
    wanted = {telemetry.EVENT_TYPE_PREFIX + kind for kind in of_commands}
    assert set(asyncapi.EVENTS) == wanted | {notices.TYPE_PREFIX + kind for kind in notices.NOTICES}


def test_an_event_with_a_person_s_words_is_not_valid() -> None:
    event = telemetry.enqueued_event(
        command_id=HEX,
        correlation_id=f"agent:{HEX}:{HEX}:{HEX}",
        command_type="agent_message_posted",
        queue="runtime-agent-message-posted",
        household_id=HEX,
        at=NOW,
    )
    assert told(event) == []
    whole = json.loads(json.dumps(cloud_event(event)))
    asks = validator("events.schema.json")
    for broken in (
        put(whole, ("data", "message"), "What did I spend?"),
        put(whole, ("data", "outcomeCode"), "You spent 12.50 at the café"),
        put(whole, ("type",), "mosaic.runtime.command.guessed"),
        put(whole, ("type",), "mosaic.runtime.finding_raised"),
        put(whole, ("source",), "somebody"),
        without(whole, ("id",)),
        put(whole, ("time",), "yesterday"),
    ):
        assert not asks.is_valid(broken), broken
