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
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import TypeAdapter, ValidationError

from mosaic_local.broker.config import ENTITY_NAME
from mosaic_local.broker.entities import Entities, QueueEntity
from mosaic_local.broker.errors import UnauthorizedError
from mosaic_local.broker.queue import Settings, Status

log = logging.getLogger("mosaic.broker")

_ATOM = "http://www.w3.org/2005/Atom"
_BUS = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"
_COUNTS = "http://schemas.microsoft.com/netservices/2011/06/servicebus"
_NEVER = "P10675199DT2H48M5.4775807S"
_NEVER_DAYS = 10_675_199
_API_VERSION = "2021-05"
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


class _RefusedError(Exception):
    """A request that is answered with an error document."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


async def start_admin(
    entities: Entities, stack: contextlib.AsyncExitStack, listening: socket.socket, context: ssl.SSLContext
) -> None:
    """Serves on a socket that listens already, until `stack` closes."""
    admin = _Admin(entities)
    app = web.Application(middlewares=[admin.guard], client_max_size=_MAX_BODY)
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

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Checks the token; turns errors into the documents that the SDK reads."""
        try:
            self._authorize(request)
            return await handler(request)
        except _RefusedError as error:
            return _error(error.status, str(error))
        except UnauthorizedError as error:
            return _error(401, str(error))
        except web.HTTPException as error:
            return _error(error.status, error.reason)
        except Exception:
            log.exception("administration: %s %s failed", request.method, request.path)
            return _error(500, "the broker failed; its log says more")

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
        entity = self._entities.queues.get(request.match_info["name"].lower())
        if entity is None:  # Azure answers an empty feed, not a 404; the SDK makes ResourceNotFoundError of it
            return _xml(200, _feed([]))
        return _xml(200, _entry(entity, request.host))

    async def list_entities(self, request: web.Request) -> web.Response:
        if request.match_info["kind"].lower() != "queues":
            raise _RefusedError(400, "this broker has queues only: no topics, subscriptions or rules")
        try:
            skip, top = int(request.query.get("$skip", "0")), int(request.query.get("$top", str(_PAGE)))
        except ValueError:
            raise _RefusedError(400, "$skip and $top are whole numbers") from None
        everything = [self._entities.queues[name] for name in sorted(self._entities.queues)]
        page = everything[skip : skip + top]
        following = None
        if skip + top < len(everything) and top > 0:
            following = f"https://{request.host}/$Resources/queues?$skip={skip + top}&$top={top}"
        return _xml(200, _feed([_entry(entity, request.host) for entity in page], following))

    async def namespace(self, request: web.Request) -> web.Response:
        info = ElementTree.Element("NamespaceInfo", {"xmlns": _BUS})
        _text(info, "CreatedTime", _time(0))
        _text(info, "MessagingSKU", "Standard")
        _text(info, "ModifiedTime", _time(0))
        _text(info, "Name", "embedded")
        _text(info, "NamespaceType", "Messaging")
        return _xml(200, _wrap("embedded", request.host, info, 0, 0))

    async def put(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if not re.fullmatch(ENTITY_NAME, name):
            raise _RefusedError(
                400, f"'{name[:100]}' is no queue name: letters, digits, and . - _ / inside, up to 260 characters"
            )
        description = _description(await request.read())
        existing = self._entities.queues.get(name.lower())
        if request.headers.get("If-Match") is not None:
            if existing is None:
                raise _RefusedError(404, f"queue {name} does not exist")
            self._entities.update_queue(existing, _settings(description, existing.settings))
            return _xml(200, _entry(existing, request.host))
        if existing is not None or name.lower() in self._entities.hubs:
            raise _RefusedError(409, f"an entity named {name} exists already")
        azures = Settings(ttl_ms=_NEVER_DAYS * _DAY_MS, dead_letter_on_expiration=False)
        return _xml(201, _entry(self._entities.create_queue(name, _settings(description, azures)), request.host))

    async def delete(self, request: web.Request) -> web.Response:
        entity = self._entities.queues.get(request.match_info["name"].lower())
        if entity is None:
            raise _RefusedError(404, f"queue {request.match_info['name'][:100]} does not exist")
        self._entities.delete_queue(entity)
        return web.Response(status=200)


def _description(body: bytes) -> dict[str, str]:
    """The fields of the QueueDescription in a request, by their local names."""
    if b"<!" in body:
        raise _RefusedError(400, "document type declarations are not accepted")
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - no declarations, so no entities
    except (ElementTree.ParseError, LookupError, ValueError):
        raise _RefusedError(400, "the body is not XML") from None
    found = root.find(f".//{{{_BUS}}}QueueDescription")
    if found is None:
        raise _RefusedError(400, "a QueueDescription is expected: this broker has queues only")
    return {child.tag.rpartition("}")[2]: "".join(child.itertext()).strip() for child in found}


def _settings(fields: dict[str, str], base: Settings) -> Settings:
    """`base` with the fields laid over it. _RefusedError names what this broker does not have."""
    for field, what in _UNSUPPORTED_SWITCHES.items():
        if fields.get(field, "").lower() == "true":
            raise _RefusedError(400, f"{field}: {what} are not implemented by this broker")
    for field, what in _UNSUPPORTED_TEXTS.items():
        if fields.get(field):
            raise _RefusedError(400, f"{field}: {what} is not implemented by this broker")
    idle = _duration(fields, "AutoDeleteOnIdle")
    if idle is not None and idle.days < _NEVER_DAYS:
        raise _RefusedError(400, "AutoDeleteOnIdle: auto-delete is not implemented by this broker")
    lock, ttl = _duration(fields, "LockDuration"), _duration(fields, "DefaultMessageTimeToLive")
    changed = replace(base)
    if lock is not None:
        if not timedelta(0) < lock <= timedelta(minutes=5):
            raise _RefusedError(400, "LockDuration: more than zero, at most five minutes")
        changed.lock_ms = lock // timedelta(milliseconds=1)
    if ttl is not None:
        if ttl <= timedelta(0):
            raise _RefusedError(400, "DefaultMessageTimeToLive: more than zero")
        changed.ttl_ms = ttl // timedelta(milliseconds=1)
    if count := fields.get("MaxDeliveryCount"):
        if not count.isascii() or not count.isdigit() or not 1 <= int(count) <= 2000:
            raise _RefusedError(400, "MaxDeliveryCount: a whole number from 1 to 2000")
        changed.max_delivery_count = int(count)
    if size := fields.get("MaxSizeInMegabytes"):
        if not size.isascii() or not size.isdigit() or int(size) not in _SIZES_MB:
            raise _RefusedError(400, "MaxSizeInMegabytes: a multiple of 1024, at most 81920")
        changed.max_size_mb = int(size)
    if batched := fields.get("EnableBatchedOperations"):
        changed.batched_operations = batched.lower() == "true"
    if "UserMetadata" in fields:
        if len(fields["UserMetadata"]) > _MAX_METADATA:
            raise _RefusedError(400, f"UserMetadata: at most {_MAX_METADATA} characters")
        changed.user_metadata = fields["UserMetadata"] or None
    if expiration := fields.get("DeadLetteringOnMessageExpiration"):
        changed.dead_letter_on_expiration = expiration.lower() == "true"
    if status := fields.get("Status"):
        try:
            changed.status = Status(status)
        except ValueError:
            raise _RefusedError(400, f"Status: one of {', '.join(Status)}") from None
    return changed


def _duration(fields: dict[str, str], name: str) -> timedelta | None:
    value = fields.get(name)
    if not value:
        return None
    try:
        return _DURATION.validate_python(re.sub(r"(\.\d{6})\d+S$", r"\1S", value))
    except ValidationError:
        raise _RefusedError(400, f"{name}: an ISO 8601 duration is expected") from None


def _entry(entity: QueueEntity, host: str) -> ElementTree.Element:
    settings, counts, dead = entity.settings, entity.main.counts(), entity.dead.counts()
    in_dead = dead.active + dead.deferred
    total = counts.active + counts.scheduled + counts.deferred + in_dead
    description = ElementTree.Element("QueueDescription", {"xmlns": _BUS})
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
        ("CreatedAt", _time(entity.created)),
        ("UpdatedAt", _time(entity.updated)),
        ("AccessedAt", _time(entity.updated)),
        ("SupportOrdering", "true"),
        ("AutoDeleteOnIdle", _NEVER),
        ("EnablePartitioning", "false"),
        ("EntityAvailabilityStatus", "Available"),
        ("EnableExpress", "false"),
        ("MaxMessageSizeInKilobytes", "256"),
    ):
        _text(description, name, value)
    if settings.user_metadata is not None:
        _text(description, "UserMetadata", settings.user_metadata)
    details = ElementTree.SubElement(description, "CountDetails", {"xmlns:d2p1": _COUNTS})
    for name, number in (
        ("ActiveMessageCount", counts.active),
        ("DeadLetterMessageCount", in_dead),
        ("ScheduledMessageCount", counts.scheduled),
        ("TransferMessageCount", 0),
        ("TransferDeadLetterMessageCount", 0),
    ):
        _text(details, f"d2p1:{name}", str(number))
    return _wrap(entity.shown, host, description, entity.created, entity.updated)


def _wrap(title: str, host: str, inner: ElementTree.Element, created_ms: int, updated_ms: int) -> ElementTree.Element:
    entry = ElementTree.Element("entry", {"xmlns": _ATOM})
    for name, value in (
        ("id", f"https://{host}/{title}?api-version={_API_VERSION}"),
        ("title", title),
        ("published", _time(created_ms)),
        ("updated", _time(updated_ms)),
    ):
        _text(entry, name, value)
    content = ElementTree.SubElement(entry, "content", {"type": "application/xml"})
    content.append(inner)
    return entry


def _feed(entries: list[ElementTree.Element], following: str | None = None) -> ElementTree.Element:
    feed = ElementTree.Element("feed", {"xmlns": _ATOM})
    ElementTree.SubElement(feed, "title", {"type": "text"}).text = "Queues"
    _text(feed, "updated", _time(0))
    if following is not None:  # the SDK takes the second link as the next page
        ElementTree.SubElement(feed, "link", {"rel": "self", "href": following})
        ElementTree.SubElement(feed, "link", {"rel": "next", "href": following})
    feed.extend(entries)
    return feed


def _text(parent: ElementTree.Element, name: str, value: str) -> None:
    ElementTree.SubElement(parent, name).text = value


def _iso(milliseconds: int) -> str:
    if milliseconds >= _NEVER_DAYS * _DAY_MS:
        return _NEVER
    return str(_DURATION.dump_python(timedelta(milliseconds=milliseconds), mode="json"))


def _time(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond:06d}Z"


def _xml(status: int, element: ElementTree.Element) -> web.Response:
    body: bytes = ElementTree.tostring(element, encoding="utf-8", xml_declaration=True)
    return web.Response(status=status, body=body, content_type="application/atom+xml", charset="utf-8")


def _error(status: int, detail: str) -> web.Response:
    root = ElementTree.Element("Error")
    ElementTree.SubElement(root, "Code").text = str(status)
    ElementTree.SubElement(root, "Detail").text = detail
    return web.Response(
        status=status, body=ElementTree.tostring(root, encoding="utf-8"), content_type="application/xml"
    )
