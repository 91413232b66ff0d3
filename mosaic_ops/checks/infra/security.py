"""What scanners miss: keys, public access, encryption in transit, zones, private networking that leaves a door open.

Every rule holds for all values that a property may have, whatever a person gives for the parameters. ``open`` rules
look at the deployment with ``privateNetworking`` on, and with it off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from mosaic_ops.checks.infra import bicep
from mosaic_ops.checks.infra.bicep import BicepFile
from mosaic_ops.checks.infra.evaluation import (
    Field,
    Instance,
    List,
    Missing,
    Record,
    Reference,
    Unknown,
    Value,
    Values,
    deploy,
    texts,
)

MAIN: Final = "infra/main.bicep"
ENTRIES: Final = (MAIN, "infra/resources.bicep")
PRIVATE: Final = "privateNetworking"
ZONES: Final = "zoneRedundant"

_SERVICE_BUS: Final = "Microsoft.ServiceBus/namespaces"
_EVENT_HUBS: Final = "Microsoft.EventHub/namespaces"
_STORAGE: Final = "Microsoft.Storage/storageAccounts"
_SITE: Final = "Microsoft.Web/sites"
_TLS: Final = ("1.2", "1.3")


@dataclass(frozen=True, slots=True)
class Rule:
    """`path` of every resource of `type` is one of `values`; `optional`: or not set, where Azure's default is safe."""

    type: str
    path: str
    values: tuple[Value, ...]
    why: str
    optional: bool = False


RULES: Final = (
    Rule(_SERVICE_BUS, "properties.disableLocalAuth", (True,), "keys must open nothing"),
    Rule(_SERVICE_BUS, "properties.minimumTlsVersion", _TLS, "nothing older than TLS 1.2"),
    Rule(_EVENT_HUBS, "properties.disableLocalAuth", (True,), "keys must open nothing"),
    Rule(_EVENT_HUBS, "properties.minimumTlsVersion", _TLS, "nothing older than TLS 1.2"),
    Rule(_STORAGE, "properties.allowSharedKeyAccess", (False,), "keys must open nothing"),
    Rule(_STORAGE, "properties.allowBlobPublicAccess", (False,), "no blob is public"),
    Rule(_STORAGE, "properties.minimumTlsVersion", ("TLS1_2", "TLS1_3"), "nothing older than TLS 1.2"),
    Rule(_STORAGE, "properties.supportsHttpsTrafficOnly", (True,), "nothing in clear text"),
    Rule(_STORAGE, "properties.defaultToOAuthAuthentication", (True,), "the Portal asks for no key"),
    Rule(_STORAGE, "properties.isLocalUserEnabled", (False,), "no local users", optional=True),
    Rule(_STORAGE, "properties.isSftpEnabled", (False,), "no SFTP", optional=True),
    Rule(_STORAGE, "properties.allowCrossTenantReplication", (False,), "data stays in the tenant", optional=True),
    Rule(_STORAGE, "kind", ("StorageV2",), "tables, blobs and lifecycle rules want it"),
    Rule(
        f"{_STORAGE}/blobServices/containers", "properties.publicAccess", ("None",), "no blob is public", optional=True
    ),
    Rule("Microsoft.Insights/components", "properties.DisableLocalAuth", (True,), "keys must open nothing"),
    Rule(
        "Microsoft.OperationalInsights/workspaces",
        "properties.features.disableLocalAuth",
        (True,),
        "keys must open nothing",
    ),
    Rule(_SITE, "properties.httpsOnly", (True,), "nothing in clear text"),
    Rule(_SITE, "properties.siteConfig.minTlsVersion", _TLS, "nothing older than TLS 1.2"),
    Rule(_SITE, "properties.siteConfig.scmMinTlsVersion", _TLS, "nothing older than TLS 1.2", optional=True),
    Rule(_SITE, "properties.siteConfig.remoteDebuggingEnabled", (False,), "no debugger", optional=True),
    Rule(_SITE, "properties.siteConfig.webSocketsEnabled", (False,), "nothing speaks them", optional=True),
    Rule(_SITE, "identity.type", ("UserAssigned",), "roles are assigned before the app is there"),
    Rule(f"{_SITE}/basicPublishingCredentialsPolicies", "properties.allow", (False,), "no password publishes"),
    Rule("Microsoft.KeyVault/vaults", "properties.enableRbacAuthorization", (True,), "roles, not access policies"),
    Rule("Microsoft.KeyVault/vaults", "properties.enablePurgeProtection", (True,), "secrets cannot be purged"),
)

PUBLIC_NETWORK: Final = (_SERVICE_BUS, _EVENT_HUBS, _STORAGE, _SITE, "Microsoft.KeyVault/vaults")
"""What has a public endpoint of its own. Azure Monitor's ingestion has one too and keeps it: it takes no key
(local authentication is off), and closing it needs a private link scope, which is shared by a whole network."""

ENDPOINTS: Final[Mapping[str, frozenset[str]]] = {
    _SERVICE_BUS: frozenset({"namespace"}),
    _EVENT_HUBS: frozenset({"namespace"}),
    _STORAGE: frozenset({"blob", "table"}),
    _SITE: frozenset({"sites"}),
}
"""The private endpoints that each needs, by group id."""

_KEYS: Final = re.compile(r"list(Keys|AccountSas|ServiceSas|Secrets?|ConnectionStrings?|Credentials)?")
_ANYWHERE: Final = frozenset({"*", "0.0.0.0/0", "internet", "any", "0.0.0.0", "::/0"})  # noqa: S104


def problems(files: Mapping[str, BicepFile]) -> list[str]:
    found: list[str] = []
    for entry in ENTRIES:
        if entry not in files:
            found.append(f"{entry}:1: not there")
            continue
        everything = deploy(files, entry)
        found += _rules(everything)
        found += _network_rules(everything)
        found += _required(everything, entry)
        found += _private(deploy(files, entry, {PRIVATE: True}), entry)
        found += _public(deploy(files, entry, {PRIVATE: False}))
        # the other parameters at their defaults: who asks for zones and for a kind without them gets what they ask for
        found += _zones(deploy(files, entry, {ZONES: True}, defaults_only=True), entry)
        for name in (PRIVATE, ZONES):
            if name not in files[entry].parameters:
                found.append(f"{entry}:1: has no parameter {name}, so that nothing is known of it")
    for file in files.values():
        found += _keys(file)
    return list(dict.fromkeys(found))


def shown(value: Value) -> str:
    match value:
        case Missing():
            return "not set"
        case Unknown(what=what):
            return f"whatever {what or 'it comes to'} says"
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str() | int():
            return f"'{value}'" if isinstance(value, str) else str(value)
    return "not known"


def _deployed(instances: Iterable[Instance], kind: str) -> Iterator[Instance]:
    """The resources of a type that this deployment makes."""
    return (each for each in instances if each.type.lower() == kind.lower() and not each.declaration.existing)


def _wrong(field: Field, allowed: tuple[Value, ...], optional: bool) -> Iterator[Value]:
    for value in field.values:
        if optional and (value is None or isinstance(value, Missing)):
            continue
        if not any(type(value) is type(each) and value == each for each in allowed):
            yield value


def _rules(instances: list[Instance]) -> Iterator[str]:
    for rule in RULES:
        for instance in _deployed(instances, rule.type):
            for field in instance.at(rule.path):
                for value in _wrong(field, rule.values, rule.optional):
                    wanted = " or ".join(shown(each) for each in rule.values)
                    name = f"{instance.declaration.name}.{rule.path}"
                    yield f"{field.place}: {name} is {shown(value)}, has to be {wanted}: {rule.why}"
    for instance in instances:
        if instance.declaration.type.lower().endswith("/authorizationrules"):
            yield f"{instance.place}: {instance.declaration.name} is a key with rights: nothing here uses keys"
    for instance in _deployed(instances, _SITE):
        for field in instance.at("properties.siteConfig.cors.allowedOrigins"):
            if "*" in set(texts(field.values)):
                yield f"{field.place}: {instance.declaration.name} answers every origin: name them"


def _required(instances: list[Instance], entry: str) -> Iterator[str]:
    """What has to be there beside the resource itself."""
    for site in _deployed(instances, _SITE):
        closed = {
            text
            for each in _deployed(instances, f"{_SITE}/basicPublishingCredentialsPolicies")
            if each.parent is not None and each.parent.address == site.address and each.present == (True,)
            for text in each.texts("name")
        }
        for name in ("ftp", "scm"):
            if name not in closed:
                yield (
                    f"{site.place}: {site.declaration.name} has no"
                    f" basicPublishingCredentialsPolicies '{name}': passwords publish"
                )
    for kind in (_SERVICE_BUS, _EVENT_HUBS, _STORAGE, _SITE, "Microsoft.Insights/components"):
        if not any(True for _ in _deployed(instances, kind)):
            yield f"{entry}:1: deploys no {kind}"


def _network_rules(instances: list[Instance]) -> Iterator[str]:
    for group in _deployed(instances, "Microsoft.Network/networkSecurityGroups"):
        for field in group.at("properties.securityRules"):
            for rules in field.values:
                for item in rules.items if isinstance(rules, List) else ():
                    for rule in item:
                        if isinstance(rule, Record):
                            yield from _network_rule(rule)


def _network_rule(rule: Record) -> Iterator[str]:
    inner = rule.get("properties")
    for properties in inner.values if inner else ():
        if not isinstance(properties, Record):
            continue

        def said(key: str, of: Record = properties) -> set[str]:
            field = of.get(key)
            return {text.lower() for text in texts(field.values)} if field else set()

        if "allow" in said("access") and "inbound" in said("direction"):
            sources = said("sourceAddressPrefix") | said("sourceAddressPrefixes")
            if sources & _ANYWHERE:
                name = " ".join(texts(rule.get("name").values)) if rule.get("name") else ""  # type: ignore[union-attr]
                field = properties.get("sourceAddressPrefix") or properties.get("sourceAddressPrefixes")
                place = field.place if field else rule.place
                yield f"{place}: rule '{name}' lets everybody in ({', '.join(sorted(sources & _ANYWHERE))})"


# ------------------------------------------------------------------------------------------------------------- private


def _private(instances: list[Instance], entry: str) -> Iterator[str]:
    """With the private parameter on nothing keeps a public endpoint, and everything has a private one."""
    asked = f"with {PRIVATE}"
    for kind in PUBLIC_NETWORK:
        for place, name, value in _unlike(instances, kind, "properties.publicNetworkAccess", "Disabled"):
            yield f"{place}: {name} keeps its public endpoint {asked}: publicNetworkAccess is {value}"
    for place, name, value in _unlike(instances, _STORAGE, "properties.networkAcls.defaultAction", "Deny"):
        yield f"{place}: {name} lets every network in {asked}: defaultAction is {value}"
    for account in _deployed(instances, _STORAGE):
        for field in account.at("properties.networkAcls.ipRules"):
            for rules in field.values:
                if isinstance(rules, List) and rules.items:
                    yield f"{field.place}: {account.declaration.name} lets addresses in {asked}: ipRules"
    path = "properties.siteConfig.publicNetworkAccess"
    for place, name, value in _unlike(instances, _SITE, path, "Disabled", may_be_absent=True):
        yield f"{place}: {name} keeps its public endpoint {asked}: it is {value}"
    yield from _namespaces(instances, asked)
    for site in _deployed(instances, _SITE):
        for field in site.at("properties.virtualNetworkSubnetId"):
            for subnet in field.values:
                if subnet is None or subnet == "" or isinstance(subnet, Missing):
                    yield f"{field.place}: {site.declaration.name} is in no subnet {asked}: it would reach nothing"
    yield from _endpoints(instances, asked)
    for address in _deployed(instances, "Microsoft.Network/publicIPAddresses"):
        yield f"{address.place}: {address.declaration.name} is a public address {asked}"


def _namespaces(instances: list[Instance], asked: str) -> Iterator[str]:
    for kind in (f"{_SERVICE_BUS}/networkRuleSets", f"{_EVENT_HUBS}/networkRuleSets"):
        for path, allowed in (("properties.publicNetworkAccess", "Disabled"), ("properties.defaultAction", "Deny")):
            may_be_absent = path.endswith("publicNetworkAccess")
            for place, name, value in _unlike(instances, kind, path, allowed, may_be_absent=may_be_absent):
                yield f"{place}: {name} opens its namespace {asked}: {path} is {value}"
    for place, name, value in _unlike(instances, _SERVICE_BUS, "sku.name", "Premium"):
        yield f"{place}: {name} is {value} {asked}: private endpoints want 'Premium'"


def _unlike(
    instances: list[Instance], kind: str, path: str, allowed: str, *, may_be_absent: bool = False
) -> Iterator[tuple[str, str, str]]:
    """(place, name, value shown) of each deployed resource of the kind whose field is anything but ``allowed``."""
    for instance in _deployed(instances, kind):
        for field in instance.at(path):
            for value in _wrong(field, (allowed,), may_be_absent):
                yield str(field.place), instance.declaration.name, shown(value)


def _endpoints(instances: list[Instance], asked: str) -> Iterator[str]:
    led: dict[tuple[str, ...], set[str]] = {}
    named = {
        each.parent.address
        for each in _deployed(instances, "Microsoft.Network/privateEndpoints/privateDnsZoneGroups")
        if each.parent is not None
    }
    for endpoint in _deployed(instances, "Microsoft.Network/privateEndpoints"):
        if endpoint.present != (True,):
            yield f"{endpoint.place}: {endpoint.declaration.name} is not certain to be there {asked}"
        if endpoint.address not in named:
            yield (
                f"{endpoint.place}: {endpoint.declaration.name} has no privateDnsZoneGroups: its"
                " names lead to the public endpoint"
            )
        for field in endpoint.at("properties.privateLinkServiceConnections"):
            for connections in field.values:
                for item in connections.items if isinstance(connections, List) else ():
                    for address, groups in _connections(item):
                        led.setdefault(address, set()).update(groups)
    for kind, wanted in ENDPOINTS.items():
        for instance in _deployed(instances, kind):
            for group in sorted(wanted - led.get(instance.address, set())):
                yield f"{instance.place}: {instance.declaration.name} has no private endpoint '{group}' {asked}"


def _connections(item: Values) -> Iterator[tuple[tuple[str, ...], set[str]]]:
    for connection in item:
        inner = connection.get("properties") if isinstance(connection, Record) else None
        for properties in inner.values if inner else ():
            if isinstance(properties, Record):
                service, groups = properties.get("privateLinkServiceId"), properties.get("groupIds")
                for value in service.values if service else ():
                    if isinstance(value, Reference):
                        yield value.address, set(texts(groups.values)) if groups else set()


def _public(instances: list[Instance]) -> Iterator[str]:
    """Without it the app reaches what it needs."""
    for kind in PUBLIC_NETWORK:
        for instance in _deployed(instances, kind):
            for field in instance.at("properties.publicNetworkAccess"):
                if "Disabled" in field.values:
                    yield f"{field.place}: {instance.declaration.name} has no endpoint at all without {PRIVATE}"


# --------------------------------------------------------------------------------------------------------------- zones


def _zones(instances: list[Instance], entry: str) -> Iterator[str]:
    asked = f"with {ZONES}"
    for account in _deployed(instances, _STORAGE):
        for field in account.at("sku.name"):
            for value in field.values:
                if not isinstance(value, str) or not value.upper().endswith("ZRS"):
                    yield f"{field.place}: {account.declaration.name} is {shown(value)} {asked}: it lives in one zone"
    for plan in _deployed(instances, "Microsoft.Web/serverfarms"):
        for field in plan.at("properties.zoneRedundant"):
            for value in _wrong(field, (True,), False):
                yield f"{field.place}: {plan.declaration.name}.zoneRedundant is {shown(value)} {asked}"
    for kind in (_SERVICE_BUS, _EVENT_HUBS):
        for namespace in _deployed(instances, kind):
            for field in namespace.at("properties.zoneRedundant"):
                for value in _wrong(field, (True,), True):
                    yield f"{field.place}: {namespace.declaration.name}.zoneRedundant is {shown(value)} {asked}"


# ---------------------------------------------------------------------------------------------------------------- keys


def _keys(file: BicepFile) -> Iterator[str]:
    """Keys are read nowhere, and leave a deployment nowhere."""
    for value in file.values():
        for each in bicep.walk(value):
            if isinstance(each, bicep.Call) and _KEYS.fullmatch(each.name):
                yield f"{file.path}:{each.line}: {each.name}() reads keys: nothing here uses any"
            if isinstance(each, bicep.Text):
                text = "".join(part for part in each.parts if isinstance(part, str))
                if found := re.search(r"AccountKey=|SharedAccessKey(Name)?=|SharedAccessSignature", text):
                    yield f"{file.path}:{each.line}: {found[0].rstrip('=')}: a connection string with a key"
