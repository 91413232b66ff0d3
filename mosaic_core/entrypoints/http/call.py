"""What a route is, and what its handler is given: the services, the request, and who calls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from enum import Enum, auto
from typing import Any, Final, Literal, Protocol

import azure.functions as func
from pydantic import BaseModel

from mosaic_core.domain.errors import RequestError
from mosaic_core.domain.membership import Right
from mosaic_core.entrypoints.http.request_parts import Request
from mosaic_core.ports import Principal, TokenVerifier
from mosaic_core.services.callers import CHOICE_HEADER, Caller, MembershipService
from mosaic_core.services.enqueue import EnqueueService
from mosaic_core.services.health import HealthService
from mosaic_core.services.households.household_service import HouseholdService
from mosaic_core.services.operators import OperatorService
from mosaic_core.services.quota_buckets import CommandQuota, whole
from mosaic_core.services.read_models import ReadModels
from mosaic_core.services.replay.replay_service import ReplayService

log = logging.getLogger(__name__)

IF_KNOWN_SECONDS: Final = 1.0
"""How long an answer that is for anybody waits to know who asks."""

QUOTA: Final = "household-commands"
"""The quota's name in ``RateLimit`` and ``RateLimit-Policy`` (draft-ietf-httpapi-ratelimit-headers-10)."""

PLATFORM_HEADER: Final = "x-ms-client-principal"

PREFIX: Final = "v1/agent"
"""Of every route; the platform puts host.json's ``routePrefix`` (``api``) before it."""


class Access(Enum):
    """Who may call: anybody; whoever has a token that holds (and the route's role); a member of one household, who has
    the route's right there; a member of the household that the path names, who has it there."""

    ANYBODY = auto()
    TOKEN = auto()
    MEMBER = auto()
    HOUSEHOLD = auto()


class Api(Protocol):
    """The services behind the API, each built when it is first asked for: health is told whatever else cannot be built.
    ``quota`` None: households have none. ``platform_principal`` reads the platform's own header; None where the
    platform does not authenticate callers, for then anybody can send it. ``openapi`` and ``asyncapi`` are the
    documents' JSON: they are made from the routes, so no route can make them."""

    @property
    def enqueue(self) -> EnqueueService: ...
    @property
    def read_models(self) -> ReadModels: ...
    @property
    def operators(self) -> OperatorService: ...
    @property
    def replays(self) -> ReplayService: ...
    @property
    def households(self) -> HouseholdService: ...
    @property
    def memberships(self) -> MembershipService: ...
    @property
    def health(self) -> HealthService: ...
    @property
    def verifier(self) -> TokenVerifier: ...
    @property
    def platform_principal(self) -> Callable[[str], Principal] | None: ...
    @property
    def quota(self) -> CommandQuota | None: ...
    def openapi(self) -> str: ...
    def asyncapi(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query. ``schema`` is its JSON schema."""

    name: str
    description: str
    schema: Mapping[str, Any]
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """``path`` goes below `PREFIX`; its ``{parameters}`` are GUIDs, ``{id}`` any id, ``{lane}`` a lane. ``also`` are
    answers besides the success that are no errors. ``more_for`` is a role that is shown more by a route for anybody.
    ``lines`` are the items of a body as JSON Lines, which then takes ``lines_query`` from the query. ``errors`` are the
    codes that only this route has (`codes` adds those that follow from the rest). ``right`` is what the membership has
    to allow, ``role`` what the token has to carry. ``tagged`` answers carry an ETag, and 304 to who has seen just
    that."""

    name: str
    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    summary: str
    handler: Callable[[Call], Awaitable[func.HttpResponse]]
    answer: type[BaseModel] | None
    description: str = ""
    access: Access = Access.MEMBER
    right: Right | None = None
    role: str | None = None
    more_for: str | None = None
    status: int = 200
    also: Mapping[int, type[BaseModel]] = field(default_factory=dict)
    location: str = ""
    body: type[BaseModel] | None = None
    lines: type[BaseModel] | None = None
    lines_query: type[BaseModel] | None = None
    query: tuple[Parameter, ...] = ()
    errors: tuple[str, ...] = ()
    tagged: bool = False

    @property
    def takes_key(self) -> bool:
        """Whether an ``Idempotency-Key`` is the client's id of what this route enqueues."""
        return "idempotency_key_reused" in self.errors

    @property
    def is_paged(self) -> bool:
        """Whether it tells a list page by page."""
        return self.method == "GET" and self.answer is not None and "next_cursor" in self.answer.model_fields

    @property
    def route(self) -> str:
        """As the platform's HTTP trigger takes it."""
        return f"{PREFIX}{self.path}"

    @property
    def codes(self) -> list[str]:
        """Every error code that this route may answer with."""
        codes = {"internal_error", *self.errors}
        if self.access != Access.ANYBODY:
            codes |= {"member_context_required", "member_context_invalid", "identity_unavailable", "store_unavailable"}
        if self.access == Access.MEMBER:
            codes |= {"member_context_ambiguous", "membership_access_denied"}
        if self.role or self.right:
            codes.add("role_required")
        if self.body:
            codes |= {"validation_failed", "payload_too_large", "unsupported_media_type"}
        if "{" in self.path or self.query:
            codes.add("validation_failed")
        return sorted(codes)


@dataclass(frozen=True, slots=True)
class Call:
    """One request under way. ``principal`` and ``caller`` are there as far as the route's access asks for them; where
    anybody may call a route that shows some more, the principal is there if a token came along that holds."""

    api: Api
    request: Request
    principal_or_none: Principal | None = None
    caller_or_none: Caller | None = None
    _: KW_ONLY
    route: Route
    headers: dict[str, str] = field(default_factory=dict)
    """Of the answer, whatever it will be."""

    async def count(self, caller: Caller) -> None:
        """One command more for the caller's household, before anything of the body is looked at. Raises `RequestError`
        429 where its quota is used up."""
        quota = self.api.quota
        counted = await quota.count(caller.household_id) if quota is not None else None
        if quota is None or counted is None:
            return
        self.headers["RateLimit-Policy"] = f'"{QUOTA}";q={quota.per_minute};w=60'
        if counted.left is not None:
            self.headers["RateLimit"] = f'"{QUOTA}";r={counted.left};t={whole(counted.reset)}'
        if counted.wait:
            raise quota.refusal(counted)

    @property
    def principal(self) -> Principal:
        assert self.principal_or_none is not None, "the route's access is ANYBODY"
        return self.principal_or_none

    def may(self, role: str) -> bool:
        """Whether the caller is known and has the role."""
        return self.principal_or_none is not None and role in self.principal_or_none.roles

    @property
    def caller(self) -> Caller:
        assert self.caller_or_none is not None, "the route's access is not a member's"
        return self.caller_or_none


async def authenticate(api: Api, route: Route, request: Request) -> Call:
    """Raises `RequestError` 401 or 403 for who may not call the route, 503 where that cannot be told."""
    if route.access == Access.ANYBODY:
        return Call(api, request, await _if_known(api, request) if route.more_for else None, route=route)
    principal = await _principal(api, request)
    if route.role is not None and route.role not in principal.roles:
        raise RequestError("role_required", f"the role {route.role} is required")
    if route.access == Access.TOKEN:
        return Call(api, request, principal, route=route)
    assert route.right is not None, "a member's route names the right that it asks for"
    if route.access == Access.HOUSEHOLD:
        caller = await api.memberships.in_household(principal, route.right, request.id("householdId"))
    else:
        chosen = request.headers.get(CHOICE_HEADER.lower(), "").strip()
        caller = await api.memberships.caller(principal, route.right, chosen)
    return Call(api, request, principal, caller, route=route)


async def _if_known(api: Api, request: Request) -> Principal | None:
    """Whoever the token names; None without one, or where it does not hold or cannot be checked now: the route is for
    anybody, and health has to be told while the issuer is away, or where tokens cannot be checked at all."""
    try:
        async with asyncio.timeout(IF_KNOWN_SECONDS):
            return await _principal(api, request)
    except (RequestError, TimeoutError):
        return None
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise
    except BaseException as error:  # also what a library's native code panics with
        log.warning("a caller could not be told", extra={"error": type(error).__name__})
        return None


async def _principal(api: Api, request: Request) -> Principal:
    authorization = request.headers.get("authorization", "").strip()
    if authorization:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise RequestError("member_context_invalid", "the Authorization header is not a bearer token")
        return await api.verifier.verify(token.strip())
    platform = request.headers.get(PLATFORM_HEADER, "").strip()
    if platform and api.platform_principal is not None:
        return api.platform_principal(platform)
    raise RequestError("member_context_required", "a bearer token is required")
