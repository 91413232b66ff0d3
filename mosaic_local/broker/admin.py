"""The administration endpoint, ATOM over HTTPS, as the ServiceBusAdministrationClient of each language speaks it.

Documents are written with default namespaces, and with one prefix where Azure has one: the JavaScript client reads
names, and no namespaces.
"""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import ssl
import time
from dataclasses import replace
from datetime import timedelta
from xml.etree import ElementTree

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import TypeAdapter, ValidationError

from mosaic_local.broker import control
from mosaic_local.broker.admin_hubs import GROUPS, HubAdmin
from mosaic_local.broker.atom import BUS, RefusedError, description, error, feed, moment, text, wrap, xml
from mosaic_local.broker.config import ENTITY_NAME
from mosaic_local.broker.content import MAX_MESSAGE
from mosaic_local.broker.entities import Entities, QueueEntity
from mosaic_local.broker.errors import UnauthorizedError
from mosaic_local.broker.paths import whole_number
from mosaic_local.broker.queue import Settings, Status

log = logging.getLogger("mosaic.broker")

_COUNTS = "http://schemas.microsoft.com/netservices/2011/06/servicebus"
_NEVER = "P10675199DT2H48M5.4775807S"
_NEVER_DAYS = 10_675_199
_SIZES_MB = range(1024, 81_920 + 1, 1024)
_MAX_METADATA = 1024
_DAY_MS = 86_400_000
_MAX_BODY = 64 * 1024
_PAGE = 100
_DURATION: TypeAdapter[timedelta] = TypeAdapter(timedelta)
_UNSUPPORTED_SWITCHES = {
    "RequiresSession": "sessions",
    "RequiresDuplicateDetection": "duplicate detection",
    "EnablePartitioning": "partitioned queues",
    "EnableExpress": "express queues",
}
_UNSUPPORTED_TEXTS = {
    "ForwardTo": "auto-forwarding",
    "ForwardDeadLetteredMessagesTo": "auto-forwarding",
    "AuthorizationRules": "authorization rules",
}


async def start_admin(
    entities: Entities, stack: contextlib.AsyncExitStack, listening: socket.socket, context: ssl.SSLContext
) -> None:
    """Serves on a socket that listens already, until `stack` closes."""
    admin = _Admin(entities)
    app = web.Application(middlewares=[admin.guard], client_max_size=_MAX_BODY)
    if entities.testing:
        control.add_routes(app, entities)
    app.router.add_get("/$Resources/{kind}", admin.list_entities)
    app.router.add_get("/$namespaceinfo", admin.namespace)
    app.router.add_get("/{name:.+}", admin.get)
    app.router.add_put("/{name:.+}", admin.put)
    app.router.add_delete("/{name:.+}", admin.delete)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.SockSite(runner, listening, ssl_context=context).start()


class _Admin:
    def __init__(self, entities: Entities) -> None:
        self._entities = entities
        self._hubs = HubAdmin(entities)

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Checks the token; turns errors into the documents that the SDK reads."""
        try:
            self._authorize(request)
            return await handler(request)
        except RefusedError as refused:
            return error(refused.status, str(refused))
        except UnauthorizedError as refused:
            return error(401, str(refused))
        except web.HTTPException as refused:
            return error(refused.status, refused.reason)
        except Exception:
            log.exception("administration: %s %s failed", request.method, request.path)
            return error(500, "the broker failed; its log says more")

    def _authorize(self, request: web.Request) -> None:
        verifier = self._entities.verifier
        if verifier is None:
            return
        now = time.time()
        grant = verifier.verify(request.headers.get("Authorization", ""), now)
        asked = (request.path, request.rel_url.raw_path)
        if not any(grant.covers(path.strip("/").lower(), now) for path in asked):
            raise UnauthorizedError("the token does not cover this entity")

    async def get(self, request: web.Request) -> web.Response:
        if self._hubs.has(request.match_info["name"]):
            return self._hubs.get(request)
        entity = self._entities.queues.get(request.match_info["name"].lower())
        if entity is None:  # Azure answers an empty feed, not a 404; the SDK makes ResourceNotFoundError of it
            return xml(200, feed([]))
        return xml(200, _entry(entity, request.host))

    async def list_entities(self, request: web.Request) -> web.Response:
        kind = request.match_info["kind"].lower()
        if kind not in ("queues", "eventhubs"):
            raise RefusedError(400, "this broker has queues and event hubs: no topics, subscriptions or rules")
        skip = whole_number(request.query.get("$skip", "0"))
        top = whole_number(request.query.get("$top", str(_PAGE)))
        if skip is None or top is None:
            raise RefusedError(400, "$skip and $top are whole numbers")
        if kind == "eventhubs":
            everything, title = self._hubs.entries(request.host), "EventHubs"
        else:
            queues = self._entities.queues
            everything, title = [_entry(queues[name], request.host) for name in sorted(queues)], "Queues"
        following = None
        if skip + top < len(everything) and top > 0:
            following = f"https://{request.host}/$Resources/{kind}?$skip={skip + top}&$top={top}"
        return xml(200, feed(everything[skip : skip + top], following, title))

    async def namespace(self, request: web.Request) -> web.Response:
        info = ElementTree.Element("NamespaceInfo", {"xmlns": BUS})
        text(info, "CreatedTime", moment(0))
        text(info, "MessagingSKU", "Standard")
        text(info, "ModifiedTime", moment(0))
        text(info, "Name", "embedded")
        text(info, "NamespaceType", "Messaging")
        return xml(200, wrap("embedded", request.host, info, 0, 0))

    async def put(self, request: web.Request) -> web.Response:
        name, body = request.match_info["name"], await request.read()
        kind, fields = description(body, "QueueDescription", "EventHubDescription", "ConsumerGroupDescription")
        if kind != "QueueDescription":
            return self._hubs.put(request, kind, fields)
        if GROUPS in name.lower() or not re.fullmatch(ENTITY_NAME, name):
            raise RefusedError(
                400, f"'{name[:100]}' is no queue name: letters, digits, and . - _ / inside, up to 260 characters"
            )
        existing = self._entities.queues.get(name.lower())
        if request.headers.get("If-Match") is not None:
            if existing is None:
                raise RefusedError(404, f"queue {name} does not exist")
            self._entities.update_queue(existing, _settings(fields, existing.settings))
            return xml(200, _entry(existing, request.host))
        if existing is not None or name.lower() in self._entities.hubs:
            raise RefusedError(409, f"an entity named {name} exists already")
        azures = Settings(ttl_ms=_NEVER_DAYS * _DAY_MS, dead_letter_on_expiration=False)
        return xml(201, _entry(self._entities.create_queue(name, _settings(fields, azures)), request.host))

    async def delete(self, request: web.Request) -> web.Response:
        if self._hubs.has(request.match_info["name"]):
            return self._hubs.delete(request)
        entity = self._entities.queues.get(request.match_info["name"].lower())
        if entity is None:
            raise RefusedError(404, f"queue {request.match_info['name'][:100]} does not exist")
        self._entities.delete_queue(entity)
        return web.Response(status=200)


def _settings(fields: dict[str, str], base: Settings) -> Settings:
    """`base` with the fields laid over it. RefusedError names what this broker does not have."""
    for field, what in _UNSUPPORTED_SWITCHES.items():
        if fields.get(field, "").lower() == "true":
            raise RefusedError(400, f"{field}: this broker has no {what}")
    for field, what in _UNSUPPORTED_TEXTS.items():
        if fields.get(field):
            raise RefusedError(400, f"{field}: this broker has no {what}")
    idle = _duration(fields, "AutoDeleteOnIdle")
    if idle is not None and idle.days < _NEVER_DAYS:
        raise RefusedError(400, "AutoDeleteOnIdle: this broker has no auto-delete")
    lock, ttl = _duration(fields, "LockDuration"), _duration(fields, "DefaultMessageTimeToLive")
    changed = replace(base)
    if lock is not None:
        if not timedelta(0) < lock <= timedelta(minutes=5):
            raise RefusedError(400, "LockDuration: more than zero, at most five minutes")
        changed.lock_ms = lock // timedelta(milliseconds=1)
    if ttl is not None:
        if ttl <= timedelta(0):
            raise RefusedError(400, "DefaultMessageTimeToLive: more than zero")
        changed.ttl_ms = ttl // timedelta(milliseconds=1)
    if count := fields.get("MaxDeliveryCount"):
        deliveries = whole_number(count)
        if deliveries is None or not 1 <= deliveries <= 2000:
            raise RefusedError(400, "MaxDeliveryCount: a whole number from 1 to 2000")
        changed.max_delivery_count = deliveries
    if size := fields.get("MaxSizeInMegabytes"):
        megabytes = whole_number(size)
        if megabytes is None or megabytes not in _SIZES_MB:
            raise RefusedError(400, "MaxSizeInMegabytes: a multiple of 1024, at most 81920")
        changed.max_size_mb = megabytes
    if batched := fields.get("EnableBatchedOperations"):
        changed.batched_operations = batched.lower() == "true"
    if "UserMetadata" in fields:
        if len(fields["UserMetadata"]) > _MAX_METADATA:
            raise RefusedError(400, f"UserMetadata: at most {_MAX_METADATA} characters")
        changed.user_metadata = fields["UserMetadata"] or None
    if expiration := fields.get("DeadLetteringOnMessageExpiration"):
        changed.dead_letter_on_expiration = expiration.lower() == "true"
    if status := fields.get("Status"):
        try:
            changed.status = Status(status)
        except ValueError:
            raise RefusedError(400, f"Status: one of {', '.join(Status)}") from None
    return changed


def _duration(fields: dict[str, str], name: str) -> timedelta | None:
    value = fields.get(name)
    if not value:
        return None
    try:
        return _DURATION.validate_python(re.sub(r"(\.\d{6})\d+S$", r"\1S", value))
    except ValidationError:
        raise RefusedError(400, f"{name}: an ISO 8601 duration is expected") from None


def _entry(entity: QueueEntity, host: str) -> ElementTree.Element:
    settings, counts, dead = entity.settings, entity.main.counts(), entity.dead.counts()
    in_dead = dead.active + dead.deferred
    total = counts.active + counts.scheduled + counts.deferred + in_dead
    told = ElementTree.Element("QueueDescription", {"xmlns": BUS})
    for name, value in (
        ("LockDuration", _iso(settings.lock_ms)),
        ("MaxSizeInMegabytes", str(settings.max_size_mb)),
        ("RequiresDuplicateDetection", "false"),
        ("RequiresSession", "false"),
        ("DefaultMessageTimeToLive", _iso(settings.ttl_ms)),
        ("DeadLetteringOnMessageExpiration", str(settings.dead_letter_on_expiration).lower()),
        ("DuplicateDetectionHistoryTimeWindow", "PT10M"),
        ("MaxDeliveryCount", str(settings.max_delivery_count)),
        ("EnableBatchedOperations", str(settings.batched_operations).lower()),
        ("SizeInBytes", str(entity.main.bytes_held() + entity.dead.bytes_held())),
        ("MessageCount", str(total)),
        ("IsAnonymousAccessible", "false"),
        ("Status", settings.status.value),
        ("CreatedAt", moment(entity.created)),
        ("UpdatedAt", moment(entity.updated)),
        ("AccessedAt", moment(entity.updated)),
        ("SupportOrdering", "true"),
        ("AutoDeleteOnIdle", _NEVER),
        ("EnablePartitioning", "false"),
        ("EntityAvailabilityStatus", "Available"),
        ("EnableExpress", "false"),
        ("MaxMessageSizeInKilobytes", str(MAX_MESSAGE // 1024)),
    ):
        text(told, name, value)
    if settings.user_metadata is not None:
        text(told, "UserMetadata", settings.user_metadata)
    details = ElementTree.SubElement(told, "CountDetails", {"xmlns:d2p1": _COUNTS})
    for name, number in (
        ("ActiveMessageCount", counts.active + counts.deferred),  # Azure counts the deferred among them
        ("DeadLetterMessageCount", in_dead),
        ("ScheduledMessageCount", counts.scheduled),
        ("TransferMessageCount", 0),
        ("TransferDeadLetterMessageCount", 0),
    ):
        text(details, f"d2p1:{name}", str(number))
    return wrap(entity.shown, host, told, entity.created, entity.updated)


def _iso(milliseconds: int) -> str:
    if milliseconds >= _NEVER_DAYS * _DAY_MS:
        return _NEVER
    return str(_DURATION.dump_python(timedelta(milliseconds=milliseconds), mode="json"))
