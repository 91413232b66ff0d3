"""Who gets in: every route asks for what its access says, and a function key opens nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

import pytest
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, format_trace_id

from mosaic_core import telemetry
from mosaic_core.adapters.identity import PlatformPrincipals
from mosaic_core.entrypoints.http.call import Access, Route
from mosaic_core.entrypoints.http.request_parts import Request
from mosaic_core.entrypoints.http.routes import ROUTES
from tests.support.api import ALICE_HOUSEHOLD, ALICE_USER, BASE, BOB_HOUSEHOLD, BOB_USER, ApiWorld

GUARDED = [route for route in ROUTES if route.access != Access.ANYBODY]
PLATFORM = PlatformPrincipals(provider="aad", issuer="https://issuer.example", audience="api://mosaic")
OTHER_USER = "a11ce000000000000000000000000003"
OTHER_HOUSEHOLD = "a11ce000000000000000000000000009"


@pytest.fixture
async def world() -> ApiWorld:
    return await ApiWorld().with_members()


def url(route: Route) -> str:
    path = route.path.replace("{conversationId}", "c" * 32).replace("{approvalId}", "d" * 32)
    return BASE + path.replace("{runId}", "e" * 32).replace("{householdId}", ALICE_HOUSEHOLD)


def principal(subject: str = "alice", roles: tuple[str, ...] = ()) -> str:
    ours = [{"typ": "iss", "val": PLATFORM.issuer}, {"typ": "aud", "val": PLATFORM.audience}]
    claims = [*ours, {"typ": "sub", "val": subject}, *({"typ": "roles", "val": role} for role in roles)]
    return base64.b64encode(json.dumps({"auth_typ": "aad", "claims": claims}).encode()).decode()


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "member_context_required"),
        ({"x-functions-key": "the-right-key"}, "member_context_required"),
        ({"X-MS-CLIENT-PRINCIPAL": principal(), "X-MS-CLIENT-PRINCIPAL-ID": "alice"}, "member_context_required"),
        ({"Authorization": "Basic YWxpY2U6eA=="}, "member_context_invalid"),
        ({"Authorization": "Bearer"}, "member_context_invalid"),
        ({"Authorization": "alice"}, "member_context_invalid"),
        ({"Authorization": "Bearer forged"}, "member_context_invalid"),
        ({"Authorization": "Bearer forged", "X-MS-CLIENT-PRINCIPAL": principal()}, "member_context_invalid"),
    ],
)
async def test_without_a_token_that_holds_nobody_gets_in(
    world: ApiWorld, headers: Mapping[str, str], code: str
) -> None:
    for route in GUARDED:
        path = f"{url(route)}?code=the-right-key"
        answer = await world.call(route.method, path, token=None, headers=headers, body=b"{}")
        assert (answer.status, answer.code) == (401, code), route.name
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert len(answer.json["error"]["traceId"]) == 32


@pytest.mark.parametrize("route", [r for r in GUARDED if r.access == Access.MEMBER], ids=lambda route: route.name)
async def test_a_token_without_a_membership_is_403(world: ApiWorld, route: Route) -> None:
    await world.add_member("left", ALICE_HOUSEHOLD, OTHER_USER, status="inactive")
    for token in ("stranger", "left"):
        answer = await world.call(route.method, url(route), token=token, body=b"{}")
        assert (answer.status, answer.code) == (403, "membership_access_denied")


@pytest.mark.parametrize("name", ["/health/live", "/health/ready", "/openapi.json", "/asyncapi.json"])
async def test_health_and_the_document_are_for_anybody(world: ApiWorld, name: str) -> None:
    for token in (None, "forged"):
        assert (await world.get(name, token=token)).status == 200


async def test_several_memberships_need_a_choice(world: ApiWorld) -> None:
    await world.add_member("alice", OTHER_HOUSEHOLD, OTHER_USER)
    answer = await world.get("/approvals")
    assert (answer.status, answer.code) == (401, "member_context_ambiguous")
    conversation = f"/conversations/{'c' * 32}/messages"
    for user, household in ((OTHER_USER, OTHER_HOUSEHOLD), (ALICE_USER.upper(), ALICE_HOUSEHOLD)):
        chosen = {"X-Mosaic-Household-User-Id": user}
        answer = await world.post(conversation, {"message": "hi"}, headers=chosen)
        assert answer.status == 202
        assert household in answer.json["correlationId"]


async def test_an_inactive_membership_does_not_make_a_choice_necessary(world: ApiWorld) -> None:
    await world.add_member("alice", OTHER_HOUSEHOLD, OTHER_USER, status="removed")
    assert (await world.get("/approvals")).status == 200
    chosen = {"X-Mosaic-Household-User-Id": OTHER_USER}
    assert (await world.get("/approvals", headers=chosen)).code == "membership_access_denied"


@pytest.mark.parametrize(
    ("choice", "status", "code"),
    [
        (BOB_USER, 403, "membership_access_denied"),
        (BOB_HOUSEHOLD, 403, "membership_access_denied"),
        ("alice", 401, "member_context_invalid"),
        ("0" * 32, 401, "member_context_invalid"),
        ("{00000000-0000-0000-0000-000000000000}", 401, "member_context_invalid"),
        (f"{ALICE_USER},{BOB_USER}", 401, "member_context_invalid"),
    ],
)
async def test_a_choice_is_only_among_one_s_own(world: ApiWorld, choice: str, status: int, code: str) -> None:
    answer = await world.get("/approvals", headers={"X-Mosaic-Household-User-Id": choice})
    assert (answer.status, answer.code) == (status, code)


async def test_the_platform_s_word_counts_only_where_it_authenticates(world: ApiWorld) -> None:
    header = {"X-MS-CLIENT-PRINCIPAL": principal("alice")}
    assert (await world.get("/approvals", token=None, headers=header)).status == 401
    world.platform_principal = PLATFORM
    assert (await world.get("/approvals", token=None, headers=header)).status == 200
    lists = base64.b64encode(b'{"auth_typ": "aad", "claims": [{"typ": ["sub"], "val": "alice"}]}').decode()
    for malformed in ("e30=", "x", lists, f"{principal('alice')}, {principal('bob')}"):
        answer = await world.get("/approvals", token=None, headers={"X-MS-CLIENT-PRINCIPAL": malformed})
        assert (answer.status, answer.code) == (401, "member_context_invalid")
    # a token that is there has to hold, whatever the platform says
    assert (await world.get("/approvals", token="forged", headers=header)).status == 401


async def test_a_wrong_method_is_a_bare_404(world: ApiWorld) -> None:
    assert (await world.call("DELETE", f"{BASE}/approvals")).body == b""
    assert (await world.call("GET", f"{BASE}/conversations/{'c' * 32}/messages")).status == 404


@pytest.mark.parametrize("traced", [True, False])
async def test_a_caller_s_trace_is_linked_and_never_ours(
    world: ApiWorld, monkeypatch: pytest.MonkeyPatch, traced: bool
) -> None:
    """Not even where the host has made the caller's context current, as the platform's worker does."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    if traced:
        monkeypatch.setattr(telemetry, "_tracer", provider.get_tracer)
    theirs = "0af7651916cd43dd8448eb211c80319c"
    header = {"traceparent": f"00-{theirs}-b7ad6b7169203331-01"}
    context = telemetry.extract(header)
    assert context is not None
    token = attach(context)
    try:
        refused = await world.get("/approvals", token=None, headers=header)
        sent = await world.post(f"/conversations/{'c' * 32}/messages", {"message": "hi"}, headers=header)
    finally:
        detach(token)
    assert refused.json["error"]["traceId"] != theirs
    assert sent.status == 202
    (outgoing,) = world.sender.sent
    assert theirs not in str(outgoing.message.properties)
    assert all(theirs not in event.trace_parent for event in world.publisher.events)
    spans = exporter.get_finished_spans()
    assert bool(spans) == traced
    for span in spans:
        assert span.context is not None
        assert format_trace_id(span.context.trace_id) != theirs
    servers = [span for span in spans if span.kind is SpanKind.SERVER]
    assert [[format_trace_id(link.context.trace_id) for link in s.links] for s in servers] == [[theirs]] * len(servers)


@pytest.mark.parametrize("route", [route for route in GUARDED if route.body], ids=lambda route: route.name)
@pytest.mark.parametrize("token", [None, "forged", "nobody+Mosaic.Ingest"])
async def test_nothing_of_a_body_is_read_before_the_token_holds(
    world: ApiWorld, route: Route, token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its type nor its size, and no parser sees it."""
    looked_at: list[str] = []
    for name in ("json", "media_type", "check_size"):
        monkeypatch.setattr(Request, name, lambda *_, name=name: looked_at.append(name))
    answer = await world.call(route.method, url(route), token=token, body=b"{" * 1000, headers={"Content-Type": "x/y"})
    assert answer.status in (401, 403)
    assert looked_at == []
