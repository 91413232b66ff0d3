"""Operators let people into a household and out of it; the last who can decide stays."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.api import ALICE_HOUSEHOLD, ALICE_USER, BASE, BOB_HOUSEHOLD, BOB_USER, ApiWorld

ADMIN = "ada+Mosaic.Operator.Admin"
CAROL = "0b5e00000000000000000000000000aa"


async def put(world: ApiWorld, token: str | None = ADMIN, **changes: Any) -> Any:
    body = {"householdId": ALICE_HOUSEHOLD, "householdUserId": CAROL, "subject": "carol", "reason": "why", **changes}
    sent = {"Content-Type": "application/json"}
    return await world.call("PUT", f"{BASE}/ops/members", token=token, body=json.dumps(body).encode(), headers=sent)


async def remove(
    world: ApiWorld,
    user: str = CAROL,
    subject: str = "carol",
    household: str = ALICE_HOUSEHOLD,
    token: str | None = ADMIN,
    reason: str = "why",
) -> Any:
    query = f"householdId={household}&householdUserId={user}&subject={quote(subject)}&reason={quote(reason)}"
    return await world.call("DELETE", f"{BASE}/ops/members?{query}", token=token)


async def listed(world: ApiWorld, household: str = ALICE_HOUSEHOLD) -> dict[str, tuple[str, str]]:
    answer = await world.get(f"/ops/members?householdId={household}", token=ADMIN)
    return {one["subject"]: (one["role"], one["status"]) for one in answer.json["members"]}


async def test_who_is_put_may_and_who_is_removed_may_not() -> None:
    world = await ApiWorld().with_members()
    assert (await world.get("/approvals", token="carol")).status == 403
    assert (await put(world)).json["isChanged"] is True
    assert (await world.get("/approvals", token="carol")).status == 200
    assert (await put(world)).json["isChanged"] is False
    assert (await put(world, role="Viewer")).json["member"]["role"] == "Viewer"
    assert await listed(world) == {"alice": ("Member", "active"), "carol": ("Viewer", "active")}
    assert [(await remove(world)).json["isChanged"] for _ in range(2)] == [True, False]
    assert (await world.get("/approvals", token="carol")).status == 403
    assert (await listed(world))["carol"] == ("Viewer", "removed")
    assert (await put(world)).json["member"]["status"] == "active"
    assert (await world.get("/approvals", token="carol")).status == 200
    audited = await world.stores.decisions.of_run(f"members:{ALICE_HOUSEHOLD}")
    assert {d.action for d in audited} == {"member_added", "member_changed", "member_removed"}
    assert {d.actor for d in audited} == {"ada"}


async def test_the_last_who_can_decide_stays_whichever_way_they_would_go() -> None:
    world = await ApiWorld().with_members()
    await put(world, role="Viewer")
    for answer in (
        await remove(world, ALICE_USER, "alice"),
        await put(world, householdUserId=ALICE_USER, subject="alice", role="Viewer"),
        await put(world, householdUserId=ALICE_USER, subject="alice", role="Ingest", source="bank"),
    ):
        assert (answer.status, answer.code) == (409, "last_member")
    assert (await listed(world))["alice"] == ("Member", "active")
    await put(world)
    assert (await remove(world, ALICE_USER, "alice")).status == 200
    assert (await remove(world)).code == "last_member"
    assert (await remove(world, BOB_USER, "bob", BOB_HOUSEHOLD)).code == "last_member"


def meeting(world: ApiWorld, monkeypatch: pytest.MonkeyPatch, looks: int) -> None:
    """The first ``looks`` at the members wait for each other: each sees what was there before any of them wrote."""
    members, met = world.stores.members, asyncio.Barrier(looks)
    look, left = members.of_household, looks

    async def of_household(household_id: str) -> Any:
        nonlocal left
        found = await look(household_id)
        if left:
            left -= 1
            await met.wait()
        return found

    monkeypatch.setattr(members, "of_household", of_household)


@pytest.mark.parametrize("way", ["remove", "Viewer"])
async def test_two_who_take_the_last_two_out_at_once_do_not_both_succeed(
    monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    world = await ApiWorld().with_members()
    await put(world)
    meeting(world, monkeypatch, 2)
    second = remove(world) if way == "remove" else put(world, role=way)
    answers = await asyncio.gather(remove(world, ALICE_USER, "alice"), second)
    assert sorted(answer.status for answer in answers) in ([200, 409], [409, 409])
    assert {answer.code for answer in answers if answer.status == 409} == {"last_member"}
    assert ("Member", "active") in (await listed(world)).values()
    audited = await world.stores.decisions.of_run(f"members:{ALICE_HOUSEHOLD}")
    assert len([d for d in audited if d.action != "member_added"]) == sum(a.status == 200 for a in answers)


async def test_a_removal_whose_process_died_is_looked_at_when_it_is_repeated() -> None:
    world = await ApiWorld().with_members()
    members = world.stores.members
    stored = await members.read("alice", ALICE_USER)
    assert stored is not None
    assert await members.update(replace(stored.value, status="removed"), stored.etag)
    assert (await remove(world, ALICE_USER, "alice")).code == "last_member"
    assert (await listed(world))["alice"] == ("Member", "active")


async def test_another_households_row_is_neither_taken_nor_removed() -> None:
    world = await ApiWorld().with_members()
    answer = await put(world, householdUserId=BOB_USER, subject="bob")
    assert (answer.status, answer.code) == (409, "member_elsewhere")
    assert (await remove(world, BOB_USER, "bob")).status == 404
    assert await listed(world) == {"alice": ("Member", "active")}
    assert (await remove(world, "9" * 32, "nobody")).status == 404


@pytest.mark.parametrize(
    "changes",
    [
        {"householdId": "x"},
        {"householdUserId": "0" * 32},
        {"subject": ""},
        {"subject": "a\u0000b"},
        {"subject": "a\nb"},
        {"subject": "x" * 121},
        {"role": "Owner"},
        {"reason": ""},
        {"reason": "\u001b[31m"},
        {"status": "active"},
    ],
)
async def test_what_is_no_member_is_refused(changes: dict[str, Any]) -> None:
    world = ApiWorld()
    assert (await put(world, **changes)).status == 400
    assert await listed(world) == {}


async def test_a_feed_needs_its_source_and_nobody_else_has_one() -> None:
    world = ApiWorld()
    assert (await put(world, role="Ingest")).code == "member_source_invalid"
    assert (await put(world, source="bank")).code == "member_source_invalid"
    assert (await put(world, role="Ingest", source="bank")).json["member"]["source"] == "bank"


@pytest.mark.parametrize(("subject", "reason"), [("", "r"), ("a\nb", "r"), ("carol", ""), ("carol", "\x1b[2J")])
async def test_a_removal_names_whom_and_why_in_plain_words(subject: str, reason: str) -> None:
    world = ApiWorld()
    await put(world, role="Viewer")
    assert (await remove(world, subject=subject, reason=reason)).status == 400
    assert (await world.call("DELETE", f"{BASE}/ops/members", token=ADMIN)).fields == [
        "householdId",
        "householdUserId",
        "subject",
        "reason",
    ]
    assert (await listed(world))["carol"] == ("Viewer", "active")


@pytest.mark.parametrize("token", ["alice", "olga+Mosaic.Operator.Read", "rolf+Mosaic.Operator.Replay", None])
async def test_for_admins_only(token: str | None) -> None:
    world = await ApiWorld().with_members()
    answers = [
        await put(world, token=token),
        await remove(world, token=token),
        await world.get(f"/ops/members?householdId={ALICE_HOUSEHOLD}", token=token),
    ]
    assert {answer.status for answer in answers} == {401 if token is None else 403}
    assert await listed(world) == {"alice": ("Member", "active")}
