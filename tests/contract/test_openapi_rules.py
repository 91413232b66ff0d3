"""Each rule that the API enforces is in the document, and each that is in the document is enforced: whatever is put
into a field of a body, a path or a query, the two say the same of it."""

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mosaic_core.domain.envelope import MAX_DEPTH, MAX_NUMBER_CHARACTERS
from mosaic_core.entrypoints.http.answers import CODES
from mosaic_core.entrypoints.http.call import Route
from mosaic_core.entrypoints.http.request_parts import MAX_BATCH_BYTES, MAX_BODY_BYTES
from mosaic_core.entrypoints.http.routes import ROUTES
from mosaic_core.entrypoints.openapi import document
from mosaic_core.services.callers import CHOICE_HEADER
from tests.support.api import ALICE_HOUSEHOLD, ALICE_USER, BASE, Answer, ApiWorld
from tests.support.examples import examples

DOCUMENT = document()
BY_NAME = {route.name: route for route in ROUTES}
TRANSACTION = {
    "transactionId": "t-1",
    "postedOn": "2026-02-01",
    "amount": "-12.50",
    "currency": "EUR",
    "description": "a purchase",
    "merchantName": "a shop",
    "categoryHint": "food",
    "counterpartyAccountId": "other",
}
BODIES: Mapping[str, dict[str, Any]] = {
    "post_message": {"message": "hello", "userNote": "a note", "clientMessageId": "m-1"},
    "post_approval": {"decision": "Approve", "rationale": "fine", "clientApprovalId": "a-1"},
    "ops_resolve_signal": {"note": "looked at"},
    "ops_erase_household": {"reason": "request 1", "dryRun": True},
    "ops_export_household": {"reason": "request 1"},
    "ops_cancel_command": {"reason": "a mistake"},
    "ops_pause_lane": {"reason": "a bad deploy"},
    "ops_resume_lane": {"reason": "mended"},
    "ops_put_member": {
        "householdId": ALICE_HOUSEHOLD,
        "householdUserId": "1" * 32,
        "subject": "carol",
        "role": "Ingest",
        "source": "bank",
        "reason": "moved in",
    },
    "post_ingestion": {"batchId": "b-1", "source": "bank", "accountId": "giro", "transactions": [TRANSACTION]},
}
PATHS = {"householdId": ALICE_HOUSEHOLD, "conversationId": "c" * 32, "approvalId": "d" * 32, "runId": "e" * 32}
PATHS |= {"commandId": "f" * 32, "signalId": "9" * 32, "id": "8" * 32, "lane": "sweep"}
REQUIRED = {"householdId": ALICE_HOUSEHOLD, "householdUserId": "1" * 32, "subject": "carol", "reason": "moved out"}
NEEDY = {"ops_list_approvals", "ops_list_members", "ops_remove_member"}
WHITE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2028\u2029\u3000"
GUID = "a11ce000-0000-0000-0000-000000000001"

TEXTS = [
    *("", " ", "\u3000", "x", " x ", "\tx\n", "a\nb", "a\tb", "a\rb", "a\x00b", "a\x0bb", "a\x1bb", "a\x1fb", "a\x7fb"),
    *("a\x80b", "a\x85b", "a\u2028b", "a\u202eb", "\ufeff", "\U0001f600", "ﷺ"),
    *("x" * n for n in (44, 45, 120, 121, 200, 201, 500, 501, 600, 601, 2000, 2001)),
    *("\U0001f600" * n for n in (120, 121, 200, 201)),
    *(" " + "x" * n + " " for n in (120, 200, 500, 600, 2000)),
    *(
        GUID,
        GUID.upper(),
        GUID.replace("-", ""),
        f"{{{GUID}}}",
        f"({GUID})",
        f"urn:uuid:{GUID}",
        f"URN:UUID:{{{GUID}}}",
    ),
    *(f"({GUID}}}", f"{{{GUID}", GUID[:-1], f"{GUID}0", f"x{GUID}", GUID.replace("-", "", 1), "g" * 32),
    *("0" * 32, "0" * 31, "0" * 33, "00000000-0000-0000-0000-000000000000", "{00000000-0000-0000-0000-000000000000}"),
    *("urn:uuid:00000000-0000-0000-0000-000000000000", "0-" * 16, "--------------------------------", "-"),
    *("2026-02-28", "2026-02-29", "2024-02-29", "1900-01-01", "1899-12-31", "9998-12-31", "9999-01-01", "0000-01-01"),
    *("2026-2-1", "2026-13-01", "26-02-01", "20260201", "2026-02-01T00:00:00Z", "٢٠٢٦-٠٢-٠١", "-2026-01-01"),
    *("1", "+1", "-1.5", "1.", ".5", "1e3", "1,5", "٣", "0" * 15, "0" * 16, "1.12345678", "1.123456789", "NaN"),
    *("Infinity", "1_0", "0x1", "- 1", "EUR", "eur", "XXX", "EURO", "Approve", "Reject", "approve", "Approve,Reject"),
    *("pending", "Pending", "approved", "pending,approved", "' or 1 eq 1", "a/b", "a?b", "a#b", "a%b", "a&b", "a+b"),
    *("2026-01-31T08:00:00Z", "2026-01-31t08:00:00z", "2026-01-31T08:00:00+01:00", "2026-01-31T08:00:00.123456789Z"),
    *("2026-01-31T08:00:00.1234567890Z", "2026-01-31T08:00:00", "2026-02-30T08:00:00Z", "2026-01-31T24:00:00Z"),
    *("2026-01-31T23:59:60Z", "2026-01-31T08:00:00+25:00", "2026-01-31T08:00:00.Z", "2026-01-31 08:00:00Z"),
    *("1970-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+14:00", "1969-12-31T23:00:00-05:00"),
    *("9998-12-31T23:59:59Z", "9999-01-01T00:00:00Z", "9998-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"),
]
OTHERS: list[Any] = [None, True, False, 0, 1, -1, 1.5, 10**20, [], ["x"], {}, {"x": 1}]
ALSO_TAKEN = ("2026-01-31T08:00Z", "2026-01-31T08:00:00+0100", "2026-01-31T08:00:00+01", "2026-01-31T08:00:00,5Z")
"""Beyond the document's pattern for a time: its description says so."""


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@dataclass
class Api:
    runner: asyncio.Runner
    world: ApiWorld

    def call(self, route: Route, *, path: Mapping[str, str], query: str = "", **more: Any) -> Answer:
        url = BASE + route.path
        for name, value in path.items():
            url = url.replace(f"{{{name}}}", quote(value, safe=""))
        token = "alice+Mosaic.Ingest+Mosaic.Operator.Read+Mosaic.Operator.Replay+Mosaic.Operator.Admin"
        self.world.clock.advance(60)  # nothing here is about how often one may ask
        return self.runner.run(self.world.call(route.method, f"{url}{query}", token=token, **more))

    def post(self, route: Route, body: object) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.call(route, path=PATHS, body=data, headers={"Content-Type": "application/json"})


@pytest.fixture(scope="module")
def api(runner: asyncio.Runner) -> Api:
    return Api(runner, runner.run(ApiWorld().with_members()))


def allows(schema: Mapping[str, Any], value: object) -> bool:
    """Whether the document allows the value: texts trimmed, as it says."""
    return bool(_validator(json.dumps(schema)).is_valid(_trimmed(value)))


@cache
def _validator(schema: str) -> Any:
    whole = {**json.loads(schema), "components": DOCUMENT["components"]}
    return jsonschema_rs.validator_for(whole, validate_formats=True)


def _trimmed(value: Any) -> Any:
    match value:
        case str():
            return value.strip(WHITE + " ")
        case list():
            return [_trimmed(item) for item in value]
        case dict():
            return {name: _trimmed(item) for name, item in value.items()}
        case _:
            return value


def operation(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][f"/api/{route.route}"][route.method.lower()]
    return found


def body_schema(route: Route) -> dict[str, Any]:
    schema: dict[str, Any] = operation(route)["requestBody"]["content"]["application/json"]["schema"]
    return schema


def parameters(route: Route, where: str) -> dict[str, dict[str, Any]]:
    return {p["name"]: p["schema"] for p in operation(route)["parameters"] if p["in"] == where}


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Each place of a body at which something else may stand."""
    if path:
        yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


def put(body: dict[str, Any], path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    changed: Any = copy.deepcopy(body)
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return changed  # type: ignore[no-any-return]


def as_sent(schema: Mapping[str, Any], text: str) -> object:
    """A number of a query is its digits."""
    is_number = schema.get("type") == "integer" and re.fullmatch(r"-?[0-9]+", text.strip(), re.ASCII)
    return int(text) if is_number else text


def agreed(answer: Answer, schema: Mapping[str, Any], value: object) -> None:
    assert answer.status in (200, 202, 400, 404, 409), (answer.status, answer.body)
    refused = answer.status == 400
    assert refused != allows(schema, value), (refused, value)


PLACES = [(name, path) for name, body in BODIES.items() for path in places(body)]


@pytest.mark.parametrize(("name", "path"), PLACES, ids=[f"{n}-{'.'.join(map(str, p))}" for n, p in PLACES])
def test_a_body_is_refused_exactly_where_the_document_forbids_it(
    api: Api, name: str, path: tuple[str | int, ...]
) -> None:
    route, schema = BY_NAME[name], body_schema(BY_NAME[name])
    for value in [*TEXTS, *OTHERS]:
        body = put(BODIES[name], path, value)
        agreed(api.post(route, body), schema, body)


@pytest.mark.parametrize("name", BODIES)
def test_fields_too_many_or_missing_are_refused_as_documented(api: Api, name: str) -> None:
    route, schema, whole = BY_NAME[name], body_schema(BY_NAME[name]), BODIES[name]
    agreed(api.post(route, whole), schema, whole)
    changed = [{**whole, "newer": 1}, {}, *({k: v for k, v in whole.items() if k != left} for left in whole)]
    if "transactions" in whole:
        changed += [whole | {"transactions": [TRANSACTION | {"newer": 1}]}]
        changed += [whole | {"transactions": [{k: v for k, v in TRANSACTION.items() if k != n}]} for n in TRANSACTION]
        many = [TRANSACTION | {"transactionId": f"t-{n}"} for n in range(501)]
        changed += [whole | {"batchId": "many", "transactions": many[:n]} for n in (500, 501)]
    for body in changed:
        if name == "post_ingestion" and body and "batchId" not in body:
            answer = api.post(route, body)  # a header could stand for it, which a body's schema cannot say
            assert (answer.status, answer.fields, allows(schema, body)) == (400, ["batchId"], True)
            continue
        agreed(api.post(route, body), schema, body)


@settings(max_examples=examples(20, slow=150), deadline=None)
@given(st.data())
def test_whatever_a_text_is_document_and_api_agree(api: Api, data: st.DataObject) -> None:
    name, path = data.draw(st.sampled_from(PLACES))
    text = data.draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=130))
    body = put(BODIES[name], path, text)
    agreed(api.post(BY_NAME[name], body), body_schema(BY_NAME[name]), body)


IN_PATHS = [(route.name, name) for route in ROUTES for name in parameters(route, "path")]


@pytest.mark.parametrize(("name", "parameter"), IN_PATHS)
def test_an_id_in_a_path_is_refused_exactly_where_the_document_forbids_it(api: Api, name: str, parameter: str) -> None:
    route = BY_NAME[name]
    body = json.dumps(BODIES[name]).encode() if name in BODIES else b""
    for text in TEXTS:
        if text.strip("/"):  # without one it is another route, or none
            answer = api.call(
                route, path=PATHS | {parameter: text}, body=body, headers={"Content-Type": "application/json"}
            )
            agreed(answer, parameters(route, "path")[parameter], text)


def test_a_query_is_refused_exactly_where_the_document_forbids_it(api: Api) -> None:
    named = [(r, name, schema) for r in ROUTES if not r.lines for name, schema in parameters(r, "query").items()]
    assert {name for _, name, _ in named} >= {"sinceUtc", "status"}
    api.post(BY_NAME["post_message"], BODIES["post_message"])
    for route, name, schema in named:
        whole = {n: REQUIRED[n] for n in parameters(route, "query") if n in REQUIRED} if route.name in NEEDY else {}
        for text in TEXTS:
            query = "&".join(f"{n}={quote(v)}" for n, v in (whole | {name: text}).items())
            agreed(api.call(route, path=PATHS, query=f"?{query}"), schema, as_sent(schema, text))
    stream = BY_NAME["get_stream"]
    assert (
        "without seconds" in next(p for p in operation(stream)["parameters"] if p["name"] == "sinceUtc")["description"]
    )
    for text in ALSO_TAKEN:
        assert api.call(stream, path=PATHS, query=f"?sinceUtc={quote(text)}").status == 200


@pytest.mark.parametrize("query", ["?status=", "?status=%20", "?status"])
def test_an_empty_status_is_400(api: Api, query: str) -> None:
    answer = api.call(BY_NAME["list_approvals"], path={}, query=query)
    assert (answer.status, answer.fields) == (400, ["status"])


@pytest.mark.parametrize("query", ["?sinceUtc=", "?sinceUtc=%20", "?sinceUtc"])
def test_an_empty_since_is_400(api: Api, query: str) -> None:
    answer = api.call(BY_NAME["get_stream"], path=PATHS, query=query)
    assert (answer.status, answer.fields) == (400, ["sinceUtc"])


def test_other_query_parameters_are_ignored_as_the_document_says(api: Api) -> None:
    assert "that an operation does not name are ignored" in " ".join(DOCUMENT["info"]["description"].split())
    assert api.call(BY_NAME["list_approvals"], path={}, query="?code=key&Status=x&newer=").status == 200


@pytest.mark.parametrize("parameter", ["batchId", "source", "accountId"])
def test_a_batch_s_query_is_refused_exactly_where_the_document_forbids_it(api: Api, parameter: str) -> None:
    route = BY_NAME["post_ingestion"]
    given = {"batchId": "lines", "source": "bank", "accountId": "giro"}
    line = json.dumps(TRANSACTION).encode()
    for text in TEXTS:
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in (given | {parameter: text}).items())
        headers = {"Content-Type": "application/x-ndjson"}
        answer = api.call(route, path=PATHS, query=f"?{query}", body=line, headers=headers)
        agreed(answer, parameters(route, "query")[parameter], text)


def test_a_choice_of_membership_holds_exactly_where_the_document_allows_it(api: Api) -> None:
    route = BY_NAME["list_approvals"]
    name, schema = CHOICE_HEADER, parameters(route, "header")[CHOICE_HEADER]
    for text in (*TEXTS, ALICE_USER):
        if text.strip() and text.isascii() and text.isprintable():  # others are no header
            answer = api.call(route, path={}, headers={name: text})
            assert (answer.status == 401) != allows(schema, text), text


def test_what_a_schema_cannot_say_the_document_says_in_words(api: Api) -> None:
    said = " ".join(DOCUMENT["info"]["description"].split())
    for words in ("UTF-8", "byte order mark", "key twice", "NaN", "surrogate", "trimmed", "content encoding"):
        assert words in said
    assert f"{MAX_DEPTH} levels" in said
    assert f"{MAX_NUMBER_CHARACTERS} characters for a number" in said
    route = BY_NAME["post_message"]
    for body in (
        b"\xff",
        b"\xef\xbb\xbf{}",
        b'{"message":"a","message":"b"}',
        b'{"message":NaN}',
        rb'{"message":"\ud800"}',
    ):
        assert api.post(route, body).status == 400
    for name, most in (("post_message", MAX_BODY_BYTES), ("post_ingestion", MAX_BATCH_BYTES)):
        assert str(most) in operation(BY_NAME[name])["requestBody"]["description"]
        answer = api.post(BY_NAME[name], b" " * (most + 1))
        assert (answer.status, answer.code) == (413, "payload_too_large")
    for headers in (
        {"Content-Type": "text/plain"},
        {},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ):
        answer = api.call(route, path=PATHS, body=b"{}", headers=headers)
        assert (answer.status, answer.code) == (415, "unsupported_media_type")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_code_of_a_route_is_in_its_responses(route: Route) -> None:
    responses = operation(route)["responses"]
    for code in route.codes:
        if CODES[code][0] not in route.also:
            assert f"`{code}`" in responses[str(CODES[code][0])]["description"]
    assert {status for status in responses if status[0] in "45"} == {
        *(str(CODES[code][0]) for code in route.codes),
        *(str(status) for status in route.also if status >= 400),
    }
