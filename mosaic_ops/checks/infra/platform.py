"""What the platform wants of a deployment beyond types: the plan's kind, what points where, scopes, tags, names.

A property that takes a resource's id takes any text: that it is the right resource's, and its id, is told here, for the
whole deployment as `evaluation` follows it across modules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from mosaic_ops.checks.infra import bicep
from mosaic_ops.checks.infra.bicep import BicepFile
from mosaic_ops.checks.infra.evaluation import (
    Composed,
    Field,
    Instance,
    List,
    Missing,
    Record,
    Value,
    Values,
    deploy,
    references,
    texts,
)
from mosaic_ops.checks.infra.security import ENTRIES, MAIN, PRIVATE, shown

_BUS: Final = "Microsoft.ServiceBus/namespaces"
_HUBS: Final = "Microsoft.EventHub/namespaces"
_STORAGE: Final = "Microsoft.Storage/storageAccounts"
_SITE: Final = "Microsoft.Web/sites"
_PLAN: Final = "Microsoft.Web/serverfarms"
_IDENTITY: Final = "Microsoft.ManagedIdentity/userAssignedIdentities"
_WORKSPACE: Final = "Microsoft.OperationalInsights/workspaces"
_COMPONENT: Final = "Microsoft.Insights/components"
_DIAGNOSTICS: Final = "Microsoft.Insights/diagnosticSettings"
_ZONE: Final = "Microsoft.Network/privateDnsZones"
_NETWORK: Final = "Microsoft.Network/virtualNetworks"
_ENDPOINT: Final = "Microsoft.Network/privateEndpoints"

WANTED: Final[tuple[tuple[str, str, tuple[Value, ...]], ...]] = (
    (_PLAN, "sku.name", ("FC1",)),
    (_PLAN, "sku.tier", ("FlexConsumption",)),
    (_PLAN, "properties.reserved", (True,)),
    (_SITE, "kind", ("functionapp,linux",)),
    (_SITE, "properties.functionAppConfig.deployment.storage.type", ("blobContainer",)),
    (_SITE, "properties.functionAppConfig.deployment.storage.authentication.type", ("UserAssignedIdentity",)),
    (_SITE, "properties.functionAppConfig.runtime.name", ("python",)),
    (_BUS, "sku.name", ("Standard", "Premium")),
    (_HUBS, "sku.name", ("Standard", "Premium")),
    (_COMPONENT, "properties.IngestionMode", ("LogAnalytics",)),
)
"""Values that a property of a type has to have. A consumer group wants Standard; Basic has none."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """`path` of `type` is something of a resource of type `to`: its id, or what `ends` says."""

    type: str
    path: str
    to: str
    ends: tuple[str, ...] = ("id",)


POINTERS: Final = (
    Pointer(_SITE, "properties.serverFarmId", _PLAN),
    Pointer(
        _SITE,
        "properties.functionAppConfig.deployment.storage.authentication.userAssignedIdentityResourceId",
        _IDENTITY,
    ),
    Pointer(
        _SITE,
        "properties.functionAppConfig.deployment.storage.value",
        _STORAGE,
        ("properties", "primaryEndpoints", "blob"),
    ),
    Pointer(_SITE, "properties.virtualNetworkSubnetId", _NETWORK),
    Pointer(_SITE, "properties.keyVaultReferenceIdentity", _IDENTITY),
    Pointer(_COMPONENT, "properties.WorkspaceResourceId", _WORKSPACE),
    Pointer(_DIAGNOSTICS, "properties.workspaceId", _WORKSPACE),
    Pointer(_ENDPOINT, "properties.subnet.id", _NETWORK),
    Pointer(f"{_ZONE}/virtualNetworkLinks", "properties.virtualNetwork.id", _NETWORK),
)
SETTINGS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "TablesConnection__endpoint": (_STORAGE, ("properties", "primaryEndpoints", "table")),
    "BlobsConnection__endpoint": (_STORAGE, ("properties", "primaryEndpoints", "blob")),
    "AzureWebJobsStorage__blobServiceUri": (_STORAGE, ("properties", "primaryEndpoints", "blob")),
    "AzureWebJobsStorage__queueServiceUri": (_STORAGE, ("properties", "primaryEndpoints", "queue")),
    "AzureWebJobsStorage__tableServiceUri": (_STORAGE, ("properties", "primaryEndpoints", "table")),
    "APPLICATIONINSIGHTS_CONNECTION_STRING": (_COMPONENT, ("properties", "ConnectionString")),
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": (_IDENTITY, ("properties", "clientId")),
    "AZURE_CLIENT_ID": (_IDENTITY, ("properties", "clientId")),
    **{
        f"{connection}__clientId": (_IDENTITY, ("properties", "clientId"))
        for connection in (
            *("ServiceBusConnection", "EventHubsConnection", "TablesConnection", "BlobsConnection"),
            "AzureWebJobsStorage",
        )
    },
}
"""App setting → whose what it is."""

HOSTS: Final[Mapping[str, str]] = {
    "ServiceBusConnection__fullyQualifiedNamespace": _BUS,
    "EventHubsConnection__fullyQualifiedNamespace": _HUBS,
}
"""App setting → the type of the namespace whose host it is."""

ZONES: Final[Mapping[str, str]] = {
    "blob": "privatelink.blob.",
    "table": "privatelink.table.",
    "queue": "privatelink.queue.",
    "namespace": "privatelink.servicebus.windows.net",
    "sites": "privatelink.azurewebsites.net",
}
"""Group of a private endpoint → how the name of its zone begins."""

TOLD: Final = (_BUS, _HUBS, _SITE, f"{_STORAGE}/tableServices", f"{_STORAGE}/blobServices")
"""What has to have a diagnostic setting."""


def problems(files: Mapping[str, BicepFile]) -> list[str]:
    found: list[str] = []
    for file in files.values():
        found += _scopes(file)
    for entry in ENTRIES:
        if entry in files:
            instances = deploy(files, entry)
            found += _wanted(instances)
            for private in (True, False):
                either = deploy(files, entry, {PRIVATE: private})
                found += _pointers(either)
                found += _settings(either)
            found += _diagnostics(instances)
            found += _twice(instances)
            found += _tags(instances, entry)
            found += _network(deploy(files, entry, {PRIVATE: True}))
    return list(dict.fromkeys(found))


def _made(instances: list[Instance], kind: str) -> Iterator[Instance]:
    return (each for each in instances if each.type.lower() == kind.lower() and not each.declaration.existing)


def _scopes(file: BicepFile) -> Iterator[str]:
    """Groups are made at a subscription's scope, all else in a group; extensions say whose they are."""
    if file.path == MAIN and file.target_scope != "subscription":
        yield f"{file.path}:1: azd deploys it to a subscription: targetScope = 'subscription'"
    for resource in file.resources:
        place = f"{file.path}:{resource.line}"
        is_group = resource.type.lower() == "microsoft.resources/resourcegroups"
        if is_group and file.target_scope != "subscription":
            yield f"{place}: a resource group is made in a subscription, this file's scope is {file.target_scope}"
        elif (
            not (is_group or resource.existing or resource.type.lower().startswith("microsoft.authorization/"))
            and file.target_scope == "subscription"
        ):
            yield f"{place}: {resource.name} is made within a group, this file's scope is a subscription"
        for body in bicep.bodies(resource.value):
            if resource.type == _DIAGNOSTICS and body.get("scope") is None:
                yield f"{place}: {resource.name} does not say whose diagnostic setting it is: scope"
            parent = body.get("parent")
            while isinstance(parent, bicep.Index | bicep.NestedResource):
                parent = parent.of if isinstance(parent, bicep.Index) else bicep.Name(parent.line, parent.name)
            declared = file.resource(parent.name) if isinstance(parent, bicep.Name) else None
            if declared and declared.type.lower() != resource.type.rpartition("/")[0].lower():
                yield (
                    f"{place}: {resource.name} ({resource.type}) cannot be a child of {declared.name} ({declared.type})"
                )


def _wanted(instances: list[Instance]) -> Iterator[str]:
    for kind, path, allowed in WANTED:
        for instance in _made(instances, kind):
            for field in instance.at(path):
                for value in field.values:
                    if not any(type(value) is type(each) and value == each for each in allowed):
                        names = " or ".join(shown(each) for each in allowed)
                        yield f"{field.place}: {instance.declaration.name}.{path} is {shown(value)}, has to be {names}"


# ------------------------------------------------------------------------------------------------------------ pointers


def _types(instances: list[Instance]) -> dict[tuple[str, ...], str]:
    return {each.address: each.type for each in instances}


def _wrong(values: Values, to: str, ends: tuple[str, ...], types: Mapping[tuple[str, ...], str]) -> Iterator[str]:
    for found in references(values):
        kind = types.get(found.address, "")
        if kind.lower() != to.lower():
            yield f"points at a {kind or 'resource that is not deployed'}, not at a {to}"
        elif found.path != ends:
            what = ".".join(found.path) or "(the resource itself)"
            yield f"is .{what} of {found.address[-1]}, has to be .{'.'.join(ends)}"
    for value in values:
        if isinstance(value, str):
            yield f"is {value!r}, and so nothing of a {to}"


def _pointers(instances: list[Instance]) -> Iterator[str]:
    types = _types(instances)
    for pointer in POINTERS:
        for instance in _made(instances, pointer.type):
            for field in instance.at(pointer.path):
                for what in _wrong(field.values, pointer.to, pointer.ends, types):
                    yield f"{field.place}: {instance.declaration.name}.{pointer.path.rpartition('.')[2]} {what}"


def _flat(value: Value) -> tuple[Value, ...]:
    """A text's pieces, those of texts within it laid open."""
    if isinstance(value, Composed) and not value.function:
        pieces = [piece for part in value.parts for one in part[:1] for piece in _flat(one)]
        joined: list[Value] = []
        for piece in pieces:
            if joined and isinstance(piece, str) and isinstance(joined[-1], str):
                joined[-1] = f"{joined[-1]}{piece}"
            else:
                joined.append(piece)
        return tuple(joined)
    return (value,)


def _settings(instances: list[Instance]) -> Iterator[str]:
    types = _types(instances)
    for child in instances:
        if child.type != f"{_SITE}/config" or "appsettings" not in child.texts("name"):
            continue
        for name, (to, ends) in SETTINGS.items():
            for field in child.at(f"properties.{name}"):
                for what in _wrong(field.values, to, ends, types):
                    yield f"{field.place}: {name} {what}"
        for name, kind in HOSTS.items():
            hosts = {
                _flat(Composed("", ((value,), (".servicebus.windows.net",))))
                for namespace in _made(instances, kind)
                for found in namespace.at("name")
                for value in found.values
            }
            for field in child.at(f"properties.{name}"):
                for value in field.values:
                    if isinstance(value, Composed | str) and hosts and _flat(value) not in hosts:
                        yield f"{field.place}: {name} is not the host of the {kind} that is deployed"


# --------------------------------------------------------------------------------------------------- diagnostics, tags


def _twice(instances: list[Instance]) -> Iterator[str]:
    """No two resources of a type have one name, parent and scope, where both are certain to be deployed."""
    seen: dict[tuple[object, ...], Instance] = {}
    for each in instances:
        if each.declaration.existing or each.present != (True,) or "*" in each.address:
            continue
        names = tuple(value for field in each.at("name") for value in field.values)
        if len(names) != 1 or not isinstance(names[0], str | Composed):
            continue
        scope = tuple(sorted(reference.address for reference in each.references("scope")))
        key = (each.type.lower(), names, each.parent.address if each.parent else (), scope)
        first = seen.setdefault(key, each)
        if first.declaration is not each.declaration or first.scope.address != each.scope.address:
            yield f"{each.place}: {each.declaration.name} is {first.declaration.name} ({first.place}) once more"


def _diagnostics(instances: list[Instance]) -> Iterator[str]:
    told = {reference.address for each in _made(instances, _DIAGNOSTICS) for reference in each.references("scope")}
    for kind in TOLD:
        for instance in _made(instances, kind):
            if instance.address not in told:
                yield (
                    f"{instance.place}: {instance.declaration.name} has no diagnostic setting: nothing is logged of it"
                )


def _tags(instances: list[Instance], entry: str) -> Iterator[str]:
    """azd finds its group and its app by their tags."""
    for kind, tag in (("Microsoft.Resources/resourceGroups", "azd-env-name"), (_SITE, "azd-service-name")):
        for instance in _made(instances, kind):
            for field in instance.at(f"tags.{tag}"):
                if any(isinstance(value, Missing) for value in field.values):
                    yield f"{field.place}: {instance.declaration.name} has no tag {tag}, by which azd finds it"


# ------------------------------------------------------------------------------------------------------------- network


def _network(instances: list[Instance]) -> Iterator[str]:
    """With private networking: each endpoint's names are in the zone of its kind, which the network is linked to."""
    zones = {each.address: each for each in _made(instances, _ZONE)}
    linked = {each.parent.address for each in _made(instances, f"{_ZONE}/virtualNetworkLinks") if each.parent}
    for address, zone in zones.items():
        if address not in linked:
            yield (
                f"{zone.place}: the network is not linked to {zone.declaration.name}: its names are not resolved there"
            )
    groups: dict[tuple[str, ...], set[str]] = {}
    for endpoint in _made(instances, _ENDPOINT):
        for field in endpoint.at("properties.privateLinkServiceConnections"):
            groups[endpoint.address] = set(_below(field, "groupIds"))
    for names in _made(instances, f"{_ENDPOINT}/privateDnsZoneGroups"):
        wanted = groups.get(names.parent.address, set()) if names.parent else set()
        for field in names.at("properties.privateDnsZoneConfigs"):
            for reference in references(field.values):
                kept = zones.get(reference.address)
                name = "".join(text for each in (kept.at("name") if kept else ()) for text in texts(each.values))
                for group in wanted:
                    if not name.startswith(ZONES.get(group, "")):
                        yield (
                            f"{names.place}: the names of '{group}' are kept in {name or 'no zone'} (through"
                            f" {_way(names)}), have to be in {ZONES[group]}"
                        )
    yield from _subnets(instances)


def _way(instance: Instance) -> str:
    return " → ".join(instance.address)


def _below(field: Field, key: str) -> Iterator[str]:
    """The texts of every property of that name within the values."""

    def inside(values: Values) -> Iterator[str]:
        for value in values:
            if isinstance(value, List):
                for item in value.items:
                    yield from inside(item)
            elif isinstance(value, Record):
                for name, each in value.fields:
                    yield from texts(each.values) if name == key else inside(each.values)

    return inside(field.values)


def _subnets(instances: list[Instance]) -> Iterator[str]:
    """The app's subnet is delegated to the platform, and to nothing else's."""
    for site in _made(instances, _SITE):
        wanted = {
            text.rpartition("/subnets/")[2]
            for field in site.at("properties.virtualNetworkSubnetId")
            for text in texts(field.values)
            if "/subnets/" in text
        }
        for network in _made(instances, _NETWORK):
            for field in network.at("properties.subnets"):
                for value in field.values:
                    for item in value.items if isinstance(value, List) else ():
                        for subnet in item:
                            if isinstance(subnet, Record):
                                yield from _subnet(network, subnet, wanted)


def _subnet(network: Instance, subnet: Record, wanted: set[str]) -> Iterator[str]:
    named = subnet.get("name")
    name = "".join(texts(named.values)) if named else ""
    inner = subnet.get("properties")
    given = {text for value in inner.values for text in _below(Field((value,), ""), "serviceName")} if inner else set()
    if name in wanted and given != {"Microsoft.App/environments"}:
        yield (
            f"{subnet.place or network.place}: the app's subnet '{name}' is delegated to"
            f" {', '.join(sorted(given)) or 'nobody'}, has to be to Microsoft.App/environments"
        )
    if name not in wanted and "Microsoft.App/environments" in given:
        yield f"{subnet.place or network.place}: the subnet '{name}' is delegated to the app, which is not in it"
