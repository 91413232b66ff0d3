"""Who belongs to a household: `members add`, `members list`, `members remove`."""

from __future__ import annotations

from typing import Annotated

import typer

from mosaic_core.domain.membership import Role
from mosaic_ops.ops import show
from mosaic_ops.ops.api import Json
from mosaic_ops.ops.here import Here, JsonOption, app
from mosaic_ops.ops.words import guid

members = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Who belongs to a household.")
app.add_typer(members, name="members")

OfHousehold = Annotated[str, typer.Option("--household", metavar="ID", help="Which household.")]
AsUser = Annotated[str, typer.Option("--user", metavar="ID", help="As which user of the household.")]
Subject = Annotated[str, typer.Option(help="The subject (sub) of their token.")]
Reason = Annotated[str, typer.Option(help="Why. It is kept beside your name.")]

_EXAMPLE = "--household a11ce000000000000000000000000001"


@members.command(
    "list",
    epilog=f"Example: ./mosaic ops members list {_EXAMPLE}",
)
def list_(ctx: typer.Context, household: OfHousehold, json: JsonOption = False) -> None:
    """A household's members, removed ones as well. One that was written to the table by hand is listed once it has
    been added here."""
    here: Here = ctx.obj
    answer = here.api.get("/ops/members", householdId=guid(household, "--household"))
    if json:
        show.as_json(answer)
        return
    show.table(
        ("user", "subject", "role", "status", "source", "since"),
        (
            [one[name] for name in ("householdUserId", "subject", "role", "status", "source", "createdAtUtc")]
            for one in answer["members"]
        ),
    )


@members.command(
    epilog=f"Example: ./mosaic ops members add {_EXAMPLE} --user 0b5e00000000000000000000000000aa --subject "
    'carol --reason "moved in, ticket 7"',
)
def add(
    ctx: typer.Context,
    household: OfHousehold,
    user: AsUser,
    subject: Subject,
    reason: Reason,
    role: Annotated[Role, typer.Option(help="What they may.")] = Role.MEMBER,
    source: Annotated[str | None, typer.Option(help="Of role Ingest: whose ingestions it sends.")] = None,
    json: JsonOption = False,
) -> None:
    """Let somebody in, or change what they may. The same again changes nothing."""
    here: Here = ctx.obj
    body: Json = {
        "householdId": guid(household, "--household"),
        "householdUserId": guid(user, "--user"),
        "subject": subject,
        "role": role,
        "reason": reason,
    }
    if source is not None:
        body["source"] = source
    _tell(here.api.put("/ops/members", body), json)


@members.command(
    epilog=f"Example: ./mosaic ops members remove {_EXAMPLE} --user 0b5e00000000000000000000000000aa --subject "
    'carol --reason "moved out"',
)
def remove(
    ctx: typer.Context, household: OfHousehold, user: AsUser, subject: Subject, reason: Reason, json: JsonOption = False
) -> None:
    """End a membership. Exit 1: it is the last one that can decide for the household, or there is none."""
    here: Here = ctx.obj
    answer = here.api.delete(
        "/ops/members",
        householdId=guid(household, "--household"),
        householdUserId=guid(user, "--user"),
        subject=subject,
        reason=reason,
    )
    _tell(answer, json)


def _tell(answer: Json, json: bool) -> None:
    if json:
        show.as_json(answer)
        return
    one = answer["member"]
    before = "" if answer["isChanged"] else ", and was before"
    show.line(f"{one['subject']} is {one['role']} of {one['householdId']}, {one['status']}{before}")
