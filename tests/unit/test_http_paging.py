"""Every list is told page by page: nothing is cut without a word, nothing comes twice, and the next page has a link."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mosaic_core.domain import ids
from mosaic_core.domain.lifecycle import ApprovalStatus
from mosaic_core.entrypoints.http.routes import ROUTES
from mosaic_core.entrypoints.openapi import document
from tests.support import records
from tests.support.api import ALICE_HOUSEHOLD, BASE, BOB_HOUSEHOLD, CONVERSATION, Answer, ApiWorld

STREAM = f"/conversations/{CONVERSATION}/stream"
OPERATOR = "ops+Mosaic.Operator.Read"
LINK = re.compile(r'<(/[^<>"\s]*)>; rel="next"')
LISTS = {
    "get_stream": (STREAM, "alice", "runs", "runId"),
    "list_approvals": ("/approvals", "alice", "approvals", "approvalId"),
    "ops_list_approvals": (f"/ops/approvals?householdId={ALICE_HOUSEHOLD}", OPERATOR, "approvals", "approvalId"),
    "ops_list_runs": ("/ops/runs", OPERATOR, "runs", "runId"),
    "ops_list_signals": ("/ops/signals", OPERATOR, "signals", "signalId"),
}
"""Each list's path, whose it is, and the name and id of its items."""


@pytest.fixture
async def world() -> ApiWorld:
    return await ApiWorld().with_members()


async def approve(world: ApiWorld, count: int, status: ApprovalStatus = ApprovalStatus.PENDING) -> list[str]:
    """So many of alice's household, each later than the one before; newest first."""
    added = []
    for _ in range(count):
        world.clock.advance(1)
        now = world.clock.now()
        one = replace(
            records.APPROVAL,
            approval_id=ids.derive(str(now)),
            household_id=ALICE_HOUSEHOLD,
            conversation_id=CONVERSATION,
            status=status,
            created_at=now,
            expires_at=now + timedelta(days=1),
        )
        await world.stores.approvals.insert(one)
        added.append(one.approval_id)
    return added[::-1]


async def run(world: ApiWorld, count: int) -> list[str]:
    """So many of alice's messages with their runs and open signals; newest first."""
    added = []
    for number in range(count):
        world.clock.advance(1)
        sent = (await world.post(f"/conversations/{CONVERSATION}/messages", {"message": f"hi {number}"})).json
        run_id = ids.run_id(sent["queue"], sent["commandId"])
        await world.stores.runs.insert(
            replace(
                records.RUN,
                run_id=run_id,
                household_id=ALICE_HOUSEHOLD,
                conversation_id=CONVERSATION,
                command_id=sent["commandId"],
                queue=sent["queue"],
                created_at=world.clock.now(),
                last_modified_at=world.clock.now(),
            )
        )
        await world.stores.signals.insert(
            replace(
                records.SIGNAL,
                signal_id=ids.derive("s", run_id),
                run_id=run_id,
                queue=sent["queue"],
                is_resolved=False,
                resolved_at=None,
                raised_at=world.clock.now(),
            )
        )
        added.append(run_id)
    return added[::-1]


async def pages(world: ApiWorld, where: str, token: str) -> list[Answer]:
    """The list's pages, each found by the link of the one before."""
    found = [await world.call("GET", where, token=token)]
    while "Link" in found[-1].headers:
        link = LINK.fullmatch(found[-1].headers["Link"])
        assert link is not None, found[-1].headers["Link"]
        assert parse_qs(urlsplit(link[1]).query)["cursor"] == [found[-1].json["nextCursor"]]
        found.append(await world.call("GET", link[1], token=token))
        assert len(found) < 100
    assert all(page.status == 200 for page in found), [page.body for page in found if page.status != 200]
    assert found[-1].json["nextCursor"] is None
    return found


def items(found: list[Answer], of: str, by: str) -> list[Any]:
    return [item[by] for page in found for item in page.json[of]]


def test_every_list_is_paged_and_documented_so() -> None:
    # those of dead letters and replays have tests of their own
    assert {r.name for r in ROUTES if r.is_paged} == {*LISTS, "ops_list_dead_letters", "ops_list_replays"}
    for route in ROUTES:
        names = {parameter.name for parameter in route.query}
        assert ({"limit", "cursor"} <= names) == route.is_paged
        answer = document()["paths"][f"/api/{route.route}"][route.method.lower()]["responses"][str(route.status)]
        assert ("Link" in answer.get("headers", {})) == route.is_paged


@pytest.mark.parametrize("limit", [1, 3, 7, 8])
@pytest.mark.parametrize("name", LISTS)
async def test_the_pages_are_the_list(world: ApiWorld, name: str, limit: int) -> None:
    path, token, of, by = LISTS[name]
    approvals, runs = await approve(world, 7), await run(world, 7)
    expected = {"approvals": approvals, "runs": runs, "signals": [ids.derive("s", one) for one in runs]}[of]
    joined = f"{BASE}{path}{'&' if '?' in path else '?'}limit={limit}"
    found = await pages(world, joined, token)
    assert items(found, of, by) == expected
    assert all(len(page.json[of]) <= limit for page in found)
    whole = await world.call("GET", BASE + path, token=token)
    assert items([whole], of, by) == expected
    assert "Link" not in whole.headers


@pytest.mark.parametrize("name", LISTS)
async def test_a_link_keeps_what_was_asked_for_and_nothing_else(world: ApiWorld, name: str) -> None:
    path, token, of, _ = LISTS[name]
    await approve(world, 3)
    await run(world, 3)
    route = next(route for route in ROUTES if route.name == name)
    asked = {"limit": "2", "nonsense": "<x>"}
    if any(parameter.name == "sinceUtc" for parameter in route.query):
        asked["sinceUtc"] = "2026-03-01T08:00:00%2B00:00"
    if of == "approvals":
        asked["status"] = "pending"
    query = "&".join(f"{key}={value}" for key, value in asked.items())
    answer = await world.call("GET", f"{BASE}{path}{'&' if '?' in path else '?'}{query}", token=token)
    assert answer.status == 200, answer.body
    link = LINK.fullmatch(answer.headers["Link"])
    assert link is not None
    kept = parse_qs(urlsplit(link[1]).query)
    assert urlsplit(link[1]).path == BASE + path.partition("?")[0]
    expected = {"limit", "cursor", *asked} - {"nonsense"} | ({"householdId"} if "householdId" in path else set())
    assert set(kept) == expected
    assert kept.get("sinceUtc", ["2026-03-01T08:00:00+00:00"]) == ["2026-03-01T08:00:00+00:00"]
    assert kept["limit"] == ["2"]


NINES = "9" * 18
FORGED = ["", "x", "1", "'", NINES, f"{NINES}!a b", f"{NINES}!", "0!a", f"{NINES}!a!b!c"]


@pytest.mark.parametrize("cursor", FORGED)
@pytest.mark.parametrize("name", LISTS)
async def test_a_cursor_that_no_answer_said_is_refused(world: ApiWorld, name: str, cursor: str) -> None:
    path, token, _, _ = LISTS[name]
    await approve(world, 1)
    await run(world, 1)
    answer = await world.get(f"{path}{'&' if '?' in path else '?'}cursor={cursor}", token=token)
    assert (answer.status, answer.fields) == (400, ["cursor"])


@pytest.mark.parametrize("limit", ["", "0", "-1", "1.5", "x", "201", "999999999999"])
@pytest.mark.parametrize("name", LISTS)
async def test_a_limit_out_of_bounds_is_refused(world: ApiWorld, name: str, limit: str) -> None:
    path, token, _, _ = LISTS[name]
    answer = await world.get(f"{path}{'&' if '?' in path else '?'}limit={limit}", token=token)
    assert (answer.status, answer.fields) == (400, ["limit"])


async def test_a_state_that_few_are_in_is_found_to_the_end(world: ApiWorld) -> None:
    first = await approve(world, 3, ApprovalStatus.REJECTED)
    await approve(world, 230, ApprovalStatus.PENDING)
    last = await approve(world, 2, ApprovalStatus.REJECTED)
    found = await pages(world, f"{BASE}/approvals?status=rejected", "alice")
    assert len(found) == 2, "200 are looked at for a page"
    assert items(found, "approvals", "approvalId") == last + first
    assert [len(page.json["approvals"]) for page in await pages(world, f"{BASE}/approvals", "alice")] == [200, 35]
    world.clock.advance(2 * 86400)
    expired = await pages(world, f"{BASE}/approvals?status=expired&limit=100", "alice")
    assert len(set(items(expired, "approvals", "approvalId"))) == 230
    assert items(await pages(world, f"{BASE}/approvals?status=pending", "alice"), "approvals", "approvalId") == []


async def test_what_comes_meanwhile_moves_no_page(world: ApiWorld) -> None:
    there = await approve(world, 4)
    first = await world.get("/approvals?limit=2")
    newer = await approve(world, 2)
    rest = await world.get(f"/approvals?limit=10&cursor={first.json['nextCursor']}")
    assert items([first, rest], "approvals", "approvalId") == there
    assert items([await world.get("/approvals")], "approvals", "approvalId") == newer + there


async def test_a_cursor_of_another_household_shows_nothing_of_it(world: ApiWorld) -> None:
    await approve(world, 3)
    runs = await run(world, 3)
    of_alice = (await world.get("/approvals?limit=1")).json["nextCursor"]
    assert (await world.get(f"/approvals?cursor={of_alice}", token="bob")).json["approvals"] == []
    of_alice = (await world.get(f"{STREAM}?limit=1")).json["nextCursor"]
    assert runs
    for place in (of_alice, f"{'0' * 18}!q!c"):
        answer = await world.get(f"{STREAM}?cursor={place}", token="bob")
        assert (answer.status, answer.code) == (404, "not_found")
    assert BOB_HOUSEHOLD not in of_alice
    after_all = await world.get(f"{STREAM}?cursor={NINES}!q!c")
    assert (after_all.status, after_all.json["runs"], after_all.json["nextCursor"]) == (200, [], None)


async def test_a_stream_of_many_is_whole_with_few_that_match(world: ApiWorld) -> None:
    runs = await run(world, 120)
    found = await pages(world, f"{BASE}{STREAM}", "alice")
    assert items(found, "runs", "runId") == runs
    assert [len(page.json["runs"]) for page in found] == [50, 50, 20]
    since = (world.clock.now() - timedelta(seconds=60)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert items(await pages(world, f"{BASE}{STREAM}?sinceUtc={since}", "alice"), "runs", "runId") == runs[:61]
