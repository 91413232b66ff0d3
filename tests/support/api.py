"""The HTTP API over memory adapters: the app's own functions, called as the host calls them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import azure.functions as func

from mosaic_core.config import Build
from mosaic_core.domain.errors import RequestError
from mosaic_core.domain.lanes import RULES
from mosaic_core.domain.records import Membership
from mosaic_core.entrypoints import asyncapi, openapi
from mosaic_core.entrypoints.http import Api, create_blueprint
from mosaic_core.ports import Finding, Principal, Stores, TokenVerifier
from mosaic_core.services.callers import Caller, MembershipService
from mosaic_core.services.enqueue import EnqueueService
from mosaic_core.services.health import HealthService
from mosaic_core.services.households.household_service import HouseholdService
from mosaic_core.services.operators import OperatorService
from mosaic_core.services.outbox import UnsentCommands
from mosaic_core.services.quota_buckets import CommandQuota
from mosaic_core.services.read_models import ReadModels
from mosaic_core.services.replay.replay_service import ReplayService
from mosaic_core.services.waiting import Waiting
from mosaic_core.services.worker import Worker
from mosaic_local.host.routes import RouteTemplate
from mosaic_ops.memory.messaging import ManualClock, MemoryBroker, MemoryPublisher, MemorySender
from mosaic_ops.memory.stores import memory_stores

ALICE_HOUSEHOLD = "a11ce000000000000000000000000001"
ALICE_USER = "a11ce000000000000000000000000002"
BOB_HOUSEHOLD = "b0b00000000000000000000000000001"
BOB_USER = "b0b00000000000000000000000000002"
CONVERSATION = "c0000000000000000000000000000001"
BASE = "/api/v1/agent"


def caller(subject: str, household: str, user: str) -> Caller:
    """A member, as the API has verified one."""
    membership = Membership(
        subject=subject,
        household_id=household,
        household_user_id=user,
        role="Member",
        status="Active",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return Caller(
        principal=Principal(subject, frozenset()),
        household_id=household,
        household_user_id=user,
        membership=membership,
    )


class StaticVerifier:
    """Tokens are names: ``alice``, or ``alice+Role.One+Role.Two``. ``forged`` does not hold."""

    async def verify(self, token: str) -> Principal:
        if token == "forged":
            raise RequestError("member_context_invalid", "the caller's token does not hold")
        subject, *roles = token.split("+")
        return Principal(subject, frozenset(roles))


@dataclass
class Probe:
    name: str
    up: bool = True
    required: bool = True
    asked: int = 0

    async def check(self) -> Finding:
        self.asked += 1
        if not self.up:
            raise OSError("no route to host-of-a-dependency.example")
        return Finding()


class PassingTime:
    """The time of calls that wait: it passes while they sleep, and only then."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        code: str = self.json["error"]["code"]
        return code

    @property
    def fields(self) -> list[str]:
        return [detail["field"] for detail in self.json["error"]["details"]]


@dataclass(frozen=True, kw_only=True)
class Services:
    """What the API is given, over memory."""

    enqueue: EnqueueService
    read_models: ReadModels
    operators: OperatorService
    replays: ReplayService
    households: HouseholdService
    memberships: MembershipService
    health: HealthService
    verifier: TokenVerifier
    platform_principal: Callable[[str], Principal] | None
    quota: CommandQuota | None
    openapi: Callable[[], str] = openapi.document_text
    asyncapi: Callable[[], str] = asyncapi.document_text


_CALLED: ContextVar[ApiWorld] = ContextVar("called")
"""Whose API the functions are for the moment: they are the same for all, since to register them takes the time of many
requests."""


@cache
def _functions() -> dict[str, tuple[list[str], RouteTemplate, Callable[[func.HttpRequest], Any]]]:
    """By name: methods, path and what the host calls."""
    app = func.FunctionApp()
    app.register_functions(create_blueprint(lambda: _CALLED.get().api()))
    found: dict[str, tuple[list[str], RouteTemplate, Callable[[func.HttpRequest], Any]]] = {}
    for function in app.get_functions():
        trigger = function.get_trigger()
        assert trigger is not None
        template = RouteTemplate.parse(f"api/{trigger.route}")  # type: ignore[attr-defined]
        methods = [method.value for method in trigger.methods]  # type: ignore[attr-defined]
        found[str(function.get_function_name())] = (methods, template, function.get_user_function())
    return found


@dataclass
class ApiWorld:
    clock: ManualClock = field(default_factory=lambda: ManualClock(datetime(2026, 3, 1, 8, tzinfo=UTC)))
    sender: MemorySender = field(default_factory=MemorySender)
    publisher: MemoryPublisher = field(default_factory=MemoryPublisher)
    probes: list[Probe] = field(default_factory=lambda: [Probe("tables"), Probe("queues")])
    platform_principal: Callable[[str], Principal] | None = None
    commands_per_minute: int = 0

    def __post_init__(self) -> None:
        self.stores: Stores = memory_stores(self.clock)
        self.enqueue = EnqueueService(
            stores=self.stores,
            sender=self.sender,
            publisher=self.publisher,
            clock=self.clock,
            queues={lane: rules.default_queue for lane, rules in RULES.items()},
        )
        self.broker = MemoryBroker(self.clock)
        self.replays = ReplayService(
            stores=self.stores,
            browser=self.broker,
            desk=self.broker,
            enqueue=replace(self.enqueue, sender=self.broker),
            clock=self.clock,
            queues=self.enqueue.queues,
            sleep=self._sleep,
        )
        self.unsent = UnsentCommands(stores=self.stores, sender=self.sender, publisher=self.publisher, clock=self.clock)
        time = PassingTime()
        waiting = Waiting(monotonic=time.monotonic, sleep=time.sleep)
        self.read_models = ReadModels(self.stores, self.clock, waiting=waiting)
        self.health = HealthService(
            Build(version="9.9.9", commit="abcdef0", package_digest="0" * 64),
            self.probes,
            monotonic=lambda: self.clock.now().timestamp(),
        )
        self.functions = _functions()

    async def _sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def api(self) -> Api:
        return Services(
            enqueue=self.enqueue,
            read_models=self.read_models,
            replays=self.replays,
            operators=OperatorService(self.stores, self.clock, self.enqueue.queues, worker=self._worker),
            households=HouseholdService(
                stores=self.stores,
                browser=self.broker,
                desk=self.broker,
                clock=self.clock,
                queues=self.enqueue.queues,
            ),
            memberships=MembershipService(self.stores.members),
            health=self.health,
            verifier=StaticVerifier(),
            platform_principal=self.platform_principal,
            quota=self.quota(),
        )

    def _worker(self) -> Worker:
        return Worker(stores=self.stores, publisher=self.publisher, clock=self.clock, policy_version="test")

    def quota(self) -> CommandQuota:
        """One for each request, as if each came to an instance of its own."""
        return CommandQuota(self.stores.quotas, self.commands_per_minute)

    async def with_members(self) -> ApiWorld:
        for subject, household, user in (
            ("alice", ALICE_HOUSEHOLD, ALICE_USER),
            ("bob", BOB_HOUSEHOLD, BOB_USER),
        ):
            await self.add_member(subject, household, user)
        return self

    async def add_member(
        self,
        subject: str,
        household: str,
        user: str,
        status: str = "active",
        role: str = "Member",
        source: str = "",
    ) -> None:
        await self.stores.members.insert(
            Membership(
                subject=subject,
                household_id=household,
                household_user_id=user,
                role=role,
                status=status,
                created_at=self.clock.now(),
                source=source,
            )
        )

    async def call(
        self,
        method: str,
        url: str,
        *,
        token: str | None = "alice",
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """``url`` is a path with its query, as a client would send it. A route that nobody has is a bare 404."""
        parts = urlsplit(url)
        sent = dict(headers or {})
        if token is not None:
            sent.setdefault("Authorization", f"Bearer {token}")
        for methods, template, function in self.functions.values():
            if method not in methods or (params := template.match(parts.path)) is None:
                continue
            request = func.HttpRequest(
                method,
                url,
                headers=sent,
                params=dict(parse_qsl(parts.query, keep_blank_values=True)),
                route_params=params,
                body=body,
            )
            called = _CALLED.set(self)
            try:
                response = await function(request)
            finally:
                _CALLED.reset(called)
            headers_out = {**dict(response.headers), "Content-Type": response.mimetype}
            return Answer(response.status_code, headers_out, response.get_body())
        return Answer(404, {}, b"")

    async def get(self, path: str, **more: Any) -> Answer:
        return await self.call("GET", BASE + path, **more)

    async def post(self, path: str, body: object, *, headers: Mapping[str, str] | None = None, **more: Any) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **(headers or {})}
        return await self.call("POST", BASE + path, body=data, headers=sent, **more)

    def wsgi(self, runner: asyncio.Runner) -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
        """The API as a WSGI application, for tools that speak it."""

        def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            headers = {
                name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")
            }
            if environ.get("CONTENT_TYPE"):
                headers["content-type"] = environ["CONTENT_TYPE"]
            uri = f"{environ.get('RAW_URI') or environ['REQUEST_URI']}"
            if environ.get("QUERY_STRING") and "?" not in uri:
                uri += f"?{environ['QUERY_STRING']}"
            length = int(environ.get("CONTENT_LENGTH") or 0)
            answer = runner.run(
                self.call(
                    environ["REQUEST_METHOD"],
                    uri,
                    token=None,
                    body=environ["wsgi.input"].read(length),
                    headers=headers,
                )
            )
            phrase = HTTPStatus(answer.status).phrase
            start_response(f"{answer.status} {phrase}", list(answer.headers.items()))
            return [answer.body]

        return app
