"""Routes × token roles × memberships: every rule tried from the wrong side. A route without a rule fails."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from mosaic_core.domain.membership import RIGHTS, Right, Role, allows, role_of
from mosaic_core.entrypoints.http.call import Access, Route
from mosaic_core.entrypoints.http.routes import ROUTES
from tests.support.api import ALICE_HOUSEHOLD, ALICE_USER, BASE, ApiWorld
from tests.support.records import MEMBERSHIP

RULES: dict[str, tuple[Right | None, str | None]] = {
    "post_message": (Right.ASK, None),
    "post_approval": (Right.DECIDE, None),
    "get_stream": (Right.READ, None),
    "get_run": (Right.READ, None),
    "list_approvals": (Right.READ, None),
    "post_ingestion": (Right.INGEST, "Mosaic.Ingest"),
    "get_command": (None, "Mosaic.Operator.Read"),
    "ops_list_lanes": (None, "Mosaic.Operator.Read"),
    "ops_list_runs": (None, "Mosaic.Operator.Read"),
    "ops_get_run": (None, "Mosaic.Operator.Read"),
    "ops_list_signals": (None, "Mosaic.Operator.Read"),
    "ops_resolve_signal": (None, "Mosaic.Operator.Replay"),
    "ops_list_approvals": (None, "Mosaic.Operator.Read"),
    "ops_get_trace": (None, "Mosaic.Operator.Read"),
    "ops_list_dead_letters": (None, "Mosaic.Operator.Read"),
    "ops_list_dead_letter_groups": (None, "Mosaic.Operator.Read"),
    "ops_post_replay": (None, "Mosaic.Operator.Replay"),
    "ops_list_replays": (None, "Mosaic.Operator.Read"),
    "ops_get_replay": (None, "Mosaic.Operator.Read"),
    "ops_advance_replay": (None, "Mosaic.Operator.Replay"),
    "ops_abort_replay": (None, "Mosaic.Operator.Replay"),
    "ops_resume_replay": (None, "Mosaic.Operator.Replay"),
    "ops_cancel_command": (None, "Mosaic.Operator.Replay"),
    "ops_post_sweep": (None, "Mosaic.Operator.Admin"),
    "ops_list_members": (None, "Mosaic.Operator.Admin"),
    "ops_put_member": (None, "Mosaic.Operator.Admin"),
    "ops_remove_member": (None, "Mosaic.Operator.Admin"),
    "ops_pause_lane": (None, "Mosaic.Operator.Admin"),
    "ops_resume_lane": (None, "Mosaic.Operator.Admin"),
    "ops_erase_household": (None, "Mosaic.Operator.Admin"),
    "ops_export_household": (None, "Mosaic.Operator.Admin"),
    "health_live": (None, None),
    "health_ready": (None, None),
    "openapi": (None, None),
    "asyncapi": (None, None),
}
"""What each route asks of a membership, and of a token."""

MAY: dict[str, frozenset[Right]] = {
    "Member": frozenset(Right),
    "member": frozenset(Right),
    "Owner": frozenset(Right),
    "Ingest": frozenset({Right.INGEST}),
    "Viewer": frozenset({Right.READ}),
    "viewer": frozenset({Right.READ}),
    "Admin": frozenset(),
    "": frozenset(),
}
"""As the rows spell it; what nobody knows allows nothing."""

TOKENS = ("", "+Mosaic.Ingest", "+Mosaic.Operator.Read", "+Mosaic.Operator.Replay", "+Mosaic.Operator.Admin")


def test_every_route_has_a_rule() -> None:
    assert {route.name: (route.right, route.role) for route in ROUTES} == RULES
    for route in ROUTES:
        assert (route.right is None) == (route.access in {Access.ANYBODY, Access.TOKEN})
        assert route.right is None or "role_required" in route.codes


def test_every_role_has_its_rights() -> None:
    assert set(RIGHTS) == set(Role)
    assert set().union(*RIGHTS.values()) == set(Right)


def url(route: Route) -> str:
    path = route.path.replace("{conversationId}", "c" * 32).replace("{approvalId}", "d" * 32)
    path = path.replace("{runId}", "e" * 32).replace("{commandId}", "f" * 32).replace("{signalId}", "9" * 32)
    path = path.replace("{replayId}", "7" * 32)
    return BASE + path.replace("{householdId}", ALICE_HOUSEHOLD).replace("{id}", "8" * 32).replace("{lane}", "sweep")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
async def test_a_membership_opens_what_its_role_allows_and_nothing_else(route: Route) -> None:
    right, claim = RULES[route.name]
    for role, token in itertools.product(MAY, TOKENS):
        world = ApiWorld()
        await world.add_member("feed", ALICE_HOUSEHOLD, ALICE_USER, role=role, source="bank")
        answer = await world.call(
            route.method, url(route), token=f"feed{token}", body=b"{}", headers={"Content-Type": "application/json"}
        )
        lets_in = (right is None or right in MAY[role]) and (claim is None or token == f"+{claim}")
        refused = answer.status == 403 and answer.code == "role_required"
        assert refused is not lets_in, (role, token, answer.status, answer.body)
        if not lets_in:
            assert world.sender.sent == []


@pytest.mark.parametrize(("role", "status"), list(itertools.product(MAY, ["active", "Active", "removed", ""])))
def test_a_membership_allows_only_while_it_is_active(role: str, status: str) -> None:
    membership = replace(MEMBERSHIP, role=role, status=status)
    for right in Right:
        assert allows(membership, right) == (status.lower() == "active" and right in MAY[role])
    assert (role_of(membership) is None) == (not MAY[role])


BATCH = {
    "batchId": "november",
    "source": "bank",
    "accountId": "checking",
    "transactions": [
        {"transactionId": "t", "postedOn": "2026-02-01", "amount": "-1", "currency": "EUR", "description": "d"}
    ],
}


@pytest.mark.parametrize(
    ("role", "own", "source", "status"),
    [
        ("Ingest", "bank", "bank", 202),
        ("Ingest", "bank", "another", 403),
        ("Ingest", "bank", "Bank", 403),
        ("Ingest", "", "bank", 403),
        ("Member", "", "bank", 202),
        ("Member", "another", "bank", 202),
    ],
)
async def test_a_feed_sends_its_own_source_only(role: str, own: str, source: str, status: int) -> None:
    world = ApiWorld()
    await world.add_member("feed", ALICE_HOUSEHOLD, ALICE_USER, role=role, source=own)
    path = f"/households/{ALICE_HOUSEHOLD}/ingestions"
    answer = await world.post(path, {**BATCH, "source": source}, token="feed+Mosaic.Ingest")
    assert answer.status == status, answer.body
    assert len(world.sender.sent) == (status == 202)
    line = b'{"transactionId": "t", "postedOn": "2026-02-01", "amount": "-1", "currency": "EUR", "description": "d"}'
    query = f"?batchId=december&source={source}&accountId=checking"
    headers = {"Content-Type": "application/x-ndjson"}
    answer = await world.post(path + query, line, token="feed+Mosaic.Ingest", headers=headers)
    assert answer.status == status, answer.body


async def test_of_several_memberships_of_a_household_the_one_that_may_counts() -> None:
    world = ApiWorld()
    await world.add_member("feed", ALICE_HOUSEHOLD, "1" * 32, role="Viewer")
    await world.add_member("feed", ALICE_HOUSEHOLD, "2" * 32, role="Ingest", source="bank")
    answer = await world.post(f"/households/{ALICE_HOUSEHOLD}/ingestions", BATCH, token="feed+Mosaic.Ingest")
    assert answer.status == 202, answer.body


async def test_what_the_api_records_says_whose_token_it_was() -> None:
    world = await ApiWorld().with_members()
    answer = await world.post(f"/conversations/{'c' * 32}/messages", {"message": "hi"})
    recorded = await world.stores.commands.read(answer.json["commandId"])
    assert recorded is not None
    assert (recorded.subject, recorded.origin) == ("alice", "app")
    assert "alice" not in recorded.envelope
