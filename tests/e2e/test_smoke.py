"""The smoke test over the whole stack, as the workflow runs it against a deployment."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from mosaic_core.domain.records import Membership
from mosaic_ops.smoke import parts
from tests.support.documents import ROOT
from tests.support.live import Live, guid

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


async def smoke(running: Live, subject: str, *arguments: str, role: str = "Mosaic.Operator.Read") -> tuple[int, Any]:
    """Exit code and findings by name of the command, as ``subject``."""
    token = running.stack.token(subject, "Mosaic.Ingest", role)
    command = ["smoke", "--json", "--state", str(running.stack.state_dir), "--token", token, *arguments]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "mosaic_ops.cli",
        *command,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert out, err.decode()
    return process.returncode or 0, {it["name"]: it for it in json.loads(out)["checks"]}


async def member(running: Live) -> str:
    """The subject of a member of a household of its own."""
    subject = f"smoke-{guid()}"
    membership = Membership(
        subject=subject,
        household_id=guid(),
        household_user_id=guid(),
        role="Member",
        status="Active",
        created_at=datetime.now(UTC),
    )
    assert await running.stores.members.insert(membership)
    return subject


async def test_the_running_stack_passes_and_nothing_is_left_behind(running: Live) -> None:
    dead = {message.message_id for _, message in await running.doors.dead_letters()}
    code, findings = await smoke(running, await member(running))
    assert {name: it["good"] for name, it in findings.items()} == dict.fromkeys(
        [part for part in parts.PARTS if part != parts.WORKSPACE], True
    ), findings
    assert code == 0
    assert {message.message_id for _, message in await running.doors.dead_letters()} <= dead


async def test_another_package_than_the_expected_one_is_told(running: Live) -> None:
    arguments = ("--only", "functions,health,build", "--expect-digest", "0" * 64)
    code, findings = await smoke(running, "operator", *arguments)
    assert (code, findings["build"]["good"]) == (1, False)
    assert "is expected" in findings["build"]["detail"]


async def test_who_may_not_ingest_is_told_so(running: Live) -> None:
    code, findings = await smoke(running, "stranger", "--only", "functions,ingestion", "--timeout", "1")
    assert (code, findings["ingestion"]["good"]) == (1, False)
    assert "0 active memberships" in findings["ingestion"]["detail"]
