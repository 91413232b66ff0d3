"""``./mosaic smoke``: reads the command line, runs the parts, reports."""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from mosaic_core.domain.lanes import Lane
from mosaic_core.ports import Stores
from mosaic_ops.smoke import doors as ways
from mosaic_ops.smoke import parts
from mosaic_ops.smoke.errors import NotReachableError
from mosaic_ops.smoke.parts import Expected, Finding, Smoke
from mosaic_ops.smoke.target import Azure, Embedded, Target
from mosaic_ops.smoke.workspace import LogAnalytics

ROOT: Final = Path(__file__).resolve().parent.parent.parent
FUNCTIONS: Final = ROOT / "docs" / "reference" / "functions.json"
EMBEDDED_TOKEN: Final = ("token", "--user", "alice", "--role", "Mosaic.Ingest", "--role", "Mosaic.Operator.Read")
EXIT_NOT_SO: Final = 1
EXIT_USAGE: Final = 2
EXIT_UNREACHABLE: Final = 3
_TOKEN_SECONDS: Final = 60


def main(arguments: Sequence[str]) -> int:
    """The command. Returns the exit code: 0 all of it is so, 1 something is not, 2 usage, 3 not reachable."""
    parser = _parser()
    options = parser.parse_args(arguments)
    wanted = _wanted(parser, options)
    try:
        expected = _expected(parser, options)
        target = _target(parser, options)
        token = _token(options, target) if set(wanted) - parts.WITHOUT_TOKEN else ""
        findings = asyncio.run(_run(options, target, token, expected, wanted))
    except NotReachableError as error:
        if options.json:
            print(json.dumps({"good": False, "unreachable": str(error), "checks": []}))
        print(f"mosaic smoke: {error}", file=sys.stderr)
        return EXIT_UNREACHABLE
    good = all(finding.good for finding in findings)
    if options.json:
        print(json.dumps({"good": good, "url": target.url, "checks": [_as_json(it) for it in findings]}, indent=1))
    if good:
        return 0
    wrong = [finding for finding in findings if finding.good is False]
    if not options.json:
        print(f"mosaic smoke: not so: {', '.join(it.name for it in wrong)}", file=sys.stderr)
    return EXIT_UNREACHABLE if all(finding.unreachable for finding in wrong) else EXIT_NOT_SO


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mosaic smoke",
        description="Whether what is deployed does what the package says: its functions, its health, a command through "
        "each lane, a bad one, and what is told of them. Without --app: the running embedded stack.",
    )
    parser.add_argument("--url", default="", help="scheme and host of the API; default: the embedded stack's")
    parser.add_argument("--resource-group", default="", metavar="NAME")
    parser.add_argument("--app", default="", metavar="NAME", help="the function app, asked for by az")
    parser.add_argument("--state", type=Path, help="the embedded stack's state folder")
    token = parser.add_mutually_exclusive_group()
    token.add_argument("--token", default="", help="a member's, with Mosaic.Ingest and Mosaic.Operator.Read")
    token.add_argument("--token-command", default="", metavar="COMMAND", help="a command that prints the token")
    parser.add_argument("--manifest", type=Path, metavar="FILE", help="manifest.json of the package that was deployed")
    parser.add_argument("--expect-digest", default="", metavar="DIGEST", help="the package that has to run")
    parser.add_argument("--workspace-id", default="", metavar="GUID", help="also: that telemetry arrived there")
    parser.add_argument(
        "--timeout", type=float, default=0.0, metavar="SECONDS", help="for each part; default 300, embedded 60"
    )
    parser.add_argument("--only", default="", metavar="PARTS", help=f"of {','.join(parts.PARTS)}")
    parser.add_argument("--skip", default="", metavar="PARTS", help="all but these")
    parser.add_argument("--json", action="store_true", help="the findings as one JSON object")
    return parser


def _wanted(parser: argparse.ArgumentParser, options: argparse.Namespace) -> list[str]:
    only, skip = (set(filter(None, text.split(","))) for text in (options.only, options.skip))
    if unknown := sorted((only | skip) - set(parts.PARTS)):
        parser.error(f"no such part: {', '.join(unknown)} (there are {', '.join(parts.PARTS)})")
    if bool(options.resource_group) != bool(options.app):
        parser.error("--resource-group and --app go together")
    if options.app and not options.url:
        parser.error("--app needs --url")
    if options.url and urlsplit(options.url).scheme not in ("http", "https"):
        parser.error("--url begins with https:// (or http:// on this machine)")
    if parts.WORKSPACE in only and not options.workspace_id:
        parser.error("the part workspace needs --workspace-id")
    if options.timeout < 0:
        parser.error("--timeout is in seconds")
    wanted = [part for part in parts.PARTS if (not only or part in only) and part not in skip]
    if not options.workspace_id:
        wanted = [part for part in wanted if part != parts.WORKSPACE]
    followers = {parts.EVENTS, parts.WORKSPACE} & set(wanted)
    if followers and parts.CONVERSATION not in wanted:
        parser.error(f"{', '.join(sorted(followers))} follow the conversation's command: ask for conversation as well")
    if options.app and set(wanted) - parts.WITHOUT_TOKEN and not (options.token or options.token_command):
        parser.error("a deployment's lanes need --token-command or --token; or --only functions,health")
    if not wanted:
        parser.error("nothing is left to check")
    return wanted


def _expected(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Expected:
    """Of the manifest; without one, of this checkout."""
    try:
        if options.manifest is None:
            return Expected(functions=frozenset(json.loads(FUNCTIONS.read_bytes())), digest=options.expect_digest)
        manifest = json.loads(options.manifest.read_bytes())
        return Expected(
            functions=frozenset(manifest["functions"]),
            digest=options.expect_digest or manifest["digest"],
            commit=manifest["commit"] if manifest["commit"] != "unknown" else "",
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        parser.error(f"{options.manifest or FUNCTIONS} is no manifest ({type(error).__name__}: {error})")


def _target(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Target:
    if options.app:
        return Azure(options.url, options.resource_group, options.app)
    return Embedded.of(options.url, options.state)


def _token(options: argparse.Namespace, target: Target) -> str:
    """Raises `NotReachableError` where the command prints none."""
    if options.token:
        return str(options.token)
    argv = shlex.split(options.token_command)
    if not argv:
        state = ["--state", str(options.state)] if options.state else []
        argv = [sys.executable, "-m", "mosaic_ops.cli", *EMBEDDED_TOKEN, *state]
    try:
        answer = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=_TOKEN_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotReachableError(f"the token command: {type(error).__name__}") from None
    token = answer.stdout.strip()
    if answer.returncode != 0 or not token:
        last = (answer.stderr.strip().splitlines() or ["no token"])[-1]
        raise NotReachableError(f"the token command ended with {answer.returncode}: {last[:300]}")
    return token


async def _run(
    options: argparse.Namespace, target: Target, token: str, expected: Expected, wanted: Sequence[str]
) -> list[Finding]:
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(ways.opened(target, token))
        once = asyncio.Lock()
        kept: list[Stores] = []

        async def stores() -> Stores:
            settings = await opened.settings()
            async with once:
                if not kept:
                    kept.append(await stack.enter_async_context(ways.opened_stores(settings)))
            return kept[0]

        async def queues() -> Mapping[Lane, str]:
            return (await opened.settings()).queues

        workspace = None
        if options.workspace_id:
            from azure.identity.aio import DefaultAzureCredential
            from azure.monitor.query.aio import LogsQueryClient

            credential = await stack.enter_async_context(DefaultAzureCredential())
            workspace = LogAnalytics(await stack.enter_async_context(LogsQueryClient(credential)), options.workspace_id)
        if parts.EVENTS in wanted:
            await opened.listen()
        smoke = Smoke(
            doors=opened,
            expected=expected,
            token=token,
            stores=stores,
            queues=queues,
            workspace=workspace,
            seconds=options.timeout or (60.0 if target.is_embedded else 300.0),
            poll_seconds=target.poll_seconds,
            say=_silent if options.json else _say,
        )
        return await smoke.run(wanted)


def _say(finding: Finding) -> None:
    mark = {True: "✓", False: "✗", None: "–"}[finding.good]
    print(f"{mark} {finding.name:<13} {finding.seconds:6.1f} s  {finding.detail}", flush=True)


def _silent(finding: Finding) -> None:
    """--json prints them at the end."""


def _as_json(finding: Finding) -> dict[str, Any]:
    return {
        "name": finding.name,
        "good": finding.good,
        "unreachable": finding.unreachable,
        "detail": finding.detail,
        "seconds": round(finding.seconds, 3),
    }
