"""Event hubs and their consumer groups by the administration endpoint: ATOM as Event Hubs' own service speaks it
(``PUT /hub``, ``PUT /hub/consumergroups/group``, ``$Resources/EventHubs``)."""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree

from aiohttp import web

from mosaic_local.broker.atom import BUS, RefusedError, feed, moment, text, wrap, xml
from mosaic_local.broker.entities import Entities, HubEntity
from mosaic_local.broker.eventhub import DEFAULT_GROUP, Group, HubSettings
from mosaic_local.broker.paths import whole_number

GROUPS: Final = "/consumergroups"
_ARRAYS = "http://schemas.microsoft.com/2003/10/Serialization/Arrays"
_HUB_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,254}[A-Za-z0-9])?")
_GROUP_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,48}[A-Za-z0-9])?")
_MAX_METADATA = 1024
_MAX_PARTITIONS = 32
_MAX_DAYS = 7


class HubAdmin:
    """What `admin` hands on: requests whose path is an event hub's or below one."""

    def __init__(self, entities: Entities) -> None:
        self._entities = entities

    def has(self, path: str) -> bool:
        return _split(path)[0].lower() in self._entities.hubs

    def entries(self, host: str) -> list[ElementTree.Element]:
        return [_hub_entry(self._entities.hubs[name], host) for name in sorted(self._entities.hubs)]

    def get(self, request: web.Request) -> web.Response:
        entity, group = self._find(request)
        if group is None:
            return xml(200, _hub_entry(entity, request.host))
        if not group:
            groups = [_group_entry(entity, one, request.host) for _, one in sorted(entity.hub.groups.items())]
            return xml(200, feed(groups, title="ConsumerGroups"))
        return xml(200, _group_entry(entity, _existing(entity, group), request.host))

    def put(self, request: web.Request, kind: str, fields: dict[str, str]) -> web.Response:
        name, group = _split(request.match_info["name"])
        if (kind == "ConsumerGroupDescription") != bool(group):
            raise RefusedError(400, f"a {kind} does not belong to this path")
        update = request.headers.get("If-Match") is not None
        metadata = fields.get("UserMetadata") or None
        if metadata is not None and len(metadata) > _MAX_METADATA:
            raise RefusedError(400, f"UserMetadata: at most {_MAX_METADATA} characters")
        if group:
            return self._put_group(request, group, metadata, update)
        existing = self._entities.hubs.get(name.lower())
        if update and existing is None:
            raise RefusedError(404, f"event hub {name[:100]} does not exist")
        if update and existing is not None:
            self._entities.update_hub(existing, _settings(fields, metadata, existing))
            return xml(200, _hub_entry(existing, request.host))
        if not _HUB_NAME.fullmatch(name):
            raise RefusedError(
                400, f"{name[:100]!r} is no event hub's name: letters, digits, and . - _ inside, up to 256 characters"
            )
        if existing is not None or name.lower() in self._entities.queues:
            raise RefusedError(409, f"an entity named {name} exists already")
        made = self._entities.create_hub(name, _settings(fields, metadata, None))
        return xml(201, _hub_entry(made, request.host))

    def _put_group(self, request: web.Request, name: str, metadata: str | None, update: bool) -> web.Response:
        entity, _ = self._find(request)
        if update:
            group = self._entities.put_group(entity, _existing(entity, name).shown, metadata)
            return xml(200, _group_entry(entity, group, request.host))
        if not _GROUP_NAME.fullmatch(name):
            raise RefusedError(
                400,
                f"{name[:100]!r} is no consumer group's name: letters, digits, and . - _ inside, up to 50 characters",
            )
        if name.lower() in entity.hub.groups:
            raise RefusedError(409, f"event hub {entity.hub.name} has a consumer group named {name} already")
        return xml(201, _group_entry(entity, self._entities.put_group(entity, name, metadata), request.host))

    def delete(self, request: web.Request) -> web.Response:
        entity, group = self._find(request)
        if group is None:
            self._entities.delete_hub(entity)
        elif group.lower() == DEFAULT_GROUP:
            raise RefusedError(400, "the consumer group $Default cannot be deleted")
        else:
            self._entities.delete_group(entity, _existing(entity, group))
        return web.Response(status=200)

    def _find(self, request: web.Request) -> tuple[HubEntity, str | None]:
        """The hub, and the group's name that the path has: "" for all of them, None where it is about the hub."""
        name, group = _split(request.match_info["name"])
        entity = self._entities.hubs.get(name.lower())
        if entity is None:
            raise RefusedError(404, f"event hub {name[:100]} does not exist")
        if group is not None and "/" in group:
            raise RefusedError(400, "of a consumer group's partitions only $management tells")
        return entity, group


def _split(path: str) -> tuple[str, str | None]:
    at = path.lower().find(GROUPS)
    rest = path[at + len(GROUPS) :]
    if at < 0 or (rest and not rest.startswith("/")):
        return path, None
    return path[:at], rest.strip("/")


def _existing(entity: HubEntity, name: str) -> Group:
    group = entity.hub.groups.get(name.lower())
    if group is None:
        raise RefusedError(404, f"event hub {entity.hub.name} has no consumer group '{name[:100]}'")
    return group


def _settings(fields: dict[str, str], metadata: str | None, existing: HubEntity | None) -> HubSettings:
    """What is described, or else what was, or Azure's defaults. RefusedError names what this broker does not have."""
    base = existing.hub.settings if existing is not None else HubSettings()
    if fields.get("Status", "Active") != "Active":
        raise RefusedError(400, "Status: this broker's event hubs are Active only")
    for name in ("AuthorizationRules", "CaptureDescription"):
        if fields.get(name):
            raise RefusedError(400, f"{name}: not implemented by this broker")
    partitions = _number(fields, "PartitionCount", base.partitions, _MAX_PARTITIONS)
    if existing is not None and partitions != base.partitions:
        raise RefusedError(400, "PartitionCount: it cannot be changed once the event hub is there")
    return HubSettings(partitions, _number(fields, "MessageRetentionInDays", base.retention_days, _MAX_DAYS), metadata)


def _number(fields: dict[str, str], name: str, default: int, most: int) -> int:
    value = fields.get(name)
    if not value:
        return default
    number = whole_number(value)
    if number is None or not 1 <= number <= most:
        raise RefusedError(400, f"{name}: a whole number from 1 to {most}")
    return number


def _hub_entry(entity: HubEntity, host: str) -> ElementTree.Element:
    hub, told = entity.hub, ElementTree.Element("EventHubDescription", {"xmlns": BUS})
    for name, value in (
        ("MessageRetentionInDays", str(hub.settings.retention_days)),
        ("Status", "Active"),
        ("CreatedAt", moment(hub.created)),
        ("UpdatedAt", moment(hub.updated)),
        ("PartitionCount", str(len(hub.partitions))),
    ):
        text(told, name, value)
    if hub.settings.metadata is not None:
        text(told, "UserMetadata", hub.settings.metadata)
    ids = ElementTree.SubElement(told, "PartitionIds", {"xmlns:d2p1": _ARRAYS})
    for partition in hub.partitions:
        text(ids, "d2p1:string", str(partition.index))
    text(told, "EntityAvailabilityStatus", "Available")
    return wrap(hub.name, host, told, hub.created, hub.updated)


def _group_entry(entity: HubEntity, group: Group, host: str) -> ElementTree.Element:
    told = ElementTree.Element("ConsumerGroupDescription", {"xmlns": BUS})
    text(told, "CreatedAt", moment(group.created))
    text(told, "UpdatedAt", moment(group.updated))
    if group.metadata is not None:
        text(told, "UserMetadata", group.metadata)
    entry = wrap(f"{entity.hub.name}{GROUPS}/{group.shown}", host, told, group.created, group.updated)
    title = entry.find("title")
    assert title is not None
    title.text = group.shown
    return entry
