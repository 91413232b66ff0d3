"""Names followed through each file and from file to file: what is declared, used, passed and read.

Parameters, variables, resources, modules and functions that do not exist or that nothing uses; modules' parameters
that are missing, unknown or of another type; outputs that a module does not have; ``main.parameters.json``.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from mosaic_ops.checks.infra import bicep
from mosaic_ops.checks.infra.bicep import BicepFile, Expression, Parameter, TypeName
from mosaic_ops.checks.infra.evaluation import Composed, List, Record, Scope, Unknown, Value, Values, module_path
from mosaic_ops.checks.infra.types import UnmeasuredError, kind_of, lengths, shape_of

MAIN: Final = "infra/main.bicep"
PARAMETERS: Final = "infra/main.parameters.json"

_FUNCTIONS: Final = frozenset(
    (
        "any array base64 base64ToJson base64ToString bool buildUri cidrHost cidrSubnet coalesce concat contains"
        " dataUri dataUriToString dateTimeAdd dateTimeFromEpoch dateTimeToEpoch deepMerge deployer deployment empty"
        " endsWith environment extensionResourceId fail filter first flatten format getSecret groupBy guid indexOf"
        " int intersection items join json last lastIndexOf length list listAccountSas listKeys listServiceSas"
        " loadDirectoryFileInfo loadFileAsBase64 loadJsonContent loadTextContent loadYamlContent managementGroup"
        " managementGroupResourceId map mapValues max min nameof newGuid objectKeys padLeft parseCidr parseUri"
        " pickZones providers range reduce reference replace resourceGroup resourceId resourceInfo shallowMerge"
        " skip sort split startsWith string subscription subscriptionResourceId substring take tenant"
        " tenantResourceId toLogicalZone toLogicalZones toLower toObject toPhysicalZone toPhysicalZones toUpper"
        " trim union uniqueString uri uriComponent uriComponentToString utcNow"
    ).split()
)
_DECORATORS: Final = frozenset(
    "allowed description discriminator export maxLength maxValue metadata minLength minValue onlyIfNotExists batchSize"
    " retryOn sealed secure waitUntil userDefinedConstraint validate".split()
)
_DECORATED: Final[Mapping[str, tuple[type[Expression], str, tuple[str, ...]]]] = {
    "minValue": (bicep.Number, "a number", ("int",)),
    "maxValue": (bicep.Number, "a number", ("int",)),
    "minLength": (bicep.Number, "a number", ("string", "array")),
    "maxLength": (bicep.Number, "a number", ("string", "array")),
    "allowed": (bicep.Array, "an array", ("string", "int", "bool", "array", "object")),
}
_NAMESPACES: Final = frozenset({"az", "sys"})
_KINDS: Final = frozenset({"string", "int", "bool", "object", "array", "any"})

_OF_EVERY_RESOURCE: Final = frozenset(
    "id name type apiVersion location tags properties identity systemData kind sku zones eTag etag".split()
)
_READABLE: Final[Mapping[str, frozenset[str]]] = {
    kind.lower(): frozenset(names.split())
    for kind, names in {
        "Microsoft.Resources/resourceGroups": "provisioningState",
        "Microsoft.ManagedIdentity/userAssignedIdentities": "clientId principalId tenantId",
        "Microsoft.ServiceBus/namespaces": "serviceBusEndpoint metricId provisioningState status createdAt updatedAt",
        "Microsoft.EventHub/namespaces": "serviceBusEndpoint metricId provisioningState status createdAt updatedAt",
        "Microsoft.EventHub/namespaces/eventhubs": "partitionIds createdAt updatedAt status",
        "Microsoft.Storage/storageAccounts": "primaryEndpoints secondaryEndpoints primaryLocation secondaryLocation"
        " provisioningState creationTime statusOfPrimary statusOfSecondary",
        "Microsoft.Web/sites": "defaultHostName hostNames enabledHostNames outboundIpAddresses"
        " possibleOutboundIpAddresses state customDomainVerificationId inboundIpAddress",
        "Microsoft.Web/serverfarms": "status numberOfSites maximumNumberOfWorkers provisioningState",
        "Microsoft.OperationalInsights/workspaces": "customerId provisioningState createdDate modifiedDate",
        "Microsoft.Insights/components": "ConnectionString InstrumentationKey AppId ApplicationId CreationDate Name"
        " provisioningState TenantId",
        "Microsoft.Network/virtualNetworks": "subnets provisioningState resourceGuid",
        "Microsoft.Network/privateEndpoints": "networkInterfaces customDnsConfigs provisioningState",
        "Microsoft.Network/networkSecurityGroups": "defaultSecurityRules networkInterfaces subnets provisioningState",
        "Microsoft.KeyVault/vaults": "vaultUri provisioningState",
        "Microsoft.Insights/workbooks": "timeModified userId revision",
    }.items()
}
"""Properties that Azure answers with and nobody sets, which the table of types does not hold."""


def problems(root: Path, files: Mapping[str, BicepFile]) -> list[str]:
    found: list[str] = []
    for file in files.values():
        found += _Names(file).problems()
        found += _modules(root, files, file)
        found += _outputs(file, files)
        found += _conditions(file, files)
        found += _module_names(file)
        found += _known_at_start(file)
        found += _declarations(file)
        found += _loaded(root, file)
    used = {module_path(file, module) for file in files.values() for module in file.modules.values()}
    entries = {MAIN}
    found += [f"{path}:1: no file uses this module" for path in files if path not in used and path not in entries]
    return found + parameters_file(root, files)


# --------------------------------------------------------------------------------------------------------------- names


class _Names:
    """Every name of one file is declared, and every declaration is used."""

    def __init__(self, file: BicepFile) -> None:
        self._file = file
        self._top = {
            *file.parameters,
            *file.variables,
            *(each.name for each in file.resources if each.nested_in is None),
            *file.modules,
            *file.imported,
        }
        self._used: set[str] = set()
        self._called: set[str] = set()
        self._found: list[str] = []

    def problems(self) -> list[str]:
        file = self._file
        for resource in file.resources:
            self._look(resource.value, self._around(resource))
        for value in (
            *(each.default for each in file.parameters.values() if each.default is not None),
            *(each.value for each in file.variables.values()),
            *(each.value for each in file.modules.values()),
            *(each.value for each in file.outputs.values()),
        ):
            self._look(value, frozenset())
        for function in file.functions.values():
            self._look(function.body, frozenset(function.names))
        for declared in file.declared():
            for decorator in declared.decorators:
                if decorator.name not in _DECORATORS:
                    self._report(declared.line, f"@{decorator.name} is no decorator")
        self._unused()
        return self._found

    def _around(self, resource: bicep.Resource) -> frozenset[str]:
        """Names that are visible in a resource's body beside those of the file: nested resources, outer loops."""
        names = {each.name for each in self._file.resources if each.nested_in and each.nested_in.name == resource.name}
        outer = resource.nested_in
        while outer is not None:
            declared = self._file.resource(outer.name)
            if declared is not None and isinstance(declared.value, bicep.Loop):
                names.update(declared.value.names)
            names |= {
                each.name for each in self._file.resources if each.nested_in and each.nested_in.name == outer.name
            }
            outer = outer.nested_in
        return frozenset(names)

    def _report(self, line: int, what: str) -> None:
        self._found.append(f"{self._file.path}:{line}: {what}")

    def _look(self, expression: Expression, local: frozenset[str]) -> None:
        match expression:
            case bicep.Name(line=line, name=name):
                self._name(line, name, local)
                return
            case bicep.Object(properties=properties):
                for each in properties:
                    if not isinstance(each.key_expression, bicep.Name):
                        self._look(each.key_expression, local)
                    self._look(each.value, local)
                return
            case bicep.Loop(names=names, over=over, body=body):
                self._look(over, local)
                self._look(body, local | set(names))
                return
            case bicep.Lambda(names=names, body=body):
                self._look(body, local | set(names))
                return
            case bicep.Call(line=line, name=name, of=None):
                self._called.add(name)
                if name not in _FUNCTIONS and name not in self._file.functions and name not in self._file.imported:
                    self._report(line, f"{name}() is no function")
            case bicep.Call(line=line, name=name, of=bicep.Name(name=of)) if of in _NAMESPACES:
                if name not in _FUNCTIONS:
                    self._report(line, f"{of}.{name}() is no function")
                for argument in expression.arguments:
                    self._look(argument, local)
                return
            case bicep.Member():
                self._member(expression)
            case bicep.NestedResource(line=line, of=of, name=name):
                outer = _last_name(of)
                if not any(
                    each.name == name and each.nested_in and each.nested_in.name == outer
                    for each in self._file.resources
                ):
                    self._report(line, f"{outer} has no nested resource {name}")
            case bicep.Other(line=line, text=text):
                self._report(line, f"cannot be followed: {text[:40]!r}")
        for child in bicep.children(expression):
            self._look(child, local)

    def _name(self, line: int, name: str, local: frozenset[str]) -> None:
        if name in local:
            return
        self._used.add(name)
        if name not in self._top and name not in _NAMESPACES:
            self._report(line, f"{name} is not declared")

    def _member(self, member: bicep.Member) -> None:
        """The first steps below a resource's symbol."""
        steps: list[str] = []
        at: Expression = member
        while isinstance(at, bicep.Member):
            steps.insert(0, at.name)
            at = at.of
        if isinstance(at, bicep.Index):
            at = at.of
        symbol = _last_name(at) if isinstance(at, bicep.Name | bicep.NestedResource) else None
        resource = self._file.resource(symbol) if symbol else None
        shape = shape_of(resource) if resource and symbol not in self._file.parameters else None
        if resource is None or not isinstance(shape, dict) or any(name.startswith("?") for name in shape):
            return
        top = {name.rstrip("!") for name in shape} | _OF_EVERY_RESOURCE
        if steps[0] not in top:
            self._report(member.line, f"{symbol} ({resource.type}) has no {steps[0]}")
        elif steps[0] == "properties" and len(steps) > 1:
            inner = shape.get("properties", shape.get("properties!"))
            known = {name.rstrip("!") for name in inner} if isinstance(inner, dict) else set()
            known |= _READABLE.get(resource.type.lower(), frozenset())
            if steps[1] not in known and "*" not in known:
                self._report(member.line, f"{symbol} ({resource.type}) has no properties.{steps[1]}")

    def _unused(self) -> None:
        file = self._file
        for name, parameter in file.parameters.items():
            if name not in self._used:
                self._report(parameter.line, f"parameter {name} is used by nothing")
        for name, variable in file.variables.items():
            if name not in self._used:
                self._report(variable.line, f"variable {name} is used by nothing")
        for resource in file.resources:
            if (
                resource.existing
                and resource.nested_in is None
                and resource.name not in self._used
                and not _children(file, resource)
            ):
                self._report(resource.line, f"existing resource {resource.name} is used by nothing")
        for name, function in file.functions.items():
            if name not in self._called and function.decorator("export") is None:
                self._report(function.line, f"function {name} is used by nothing")
        types = {kind for each in file.parameters.values() for kind in _type_names(each.type)}
        types |= {kind for each in file.outputs.values() for kind in _type_names(each.type)}
        types |= {kind for each in file.types.values() for kind in _type_names(each.type)}
        for name, declared_type in file.types.items():
            if name not in types and declared_type.decorator("export") is None:
                self._report(declared_type.line, f"type {name} is used by nothing")
        typed = [(each.line, each.type) for each in file.parameters.values()]
        typed += [(each.line, each.type) for each in file.outputs.values()]
        for line, type_name in typed:
            for kind in _type_names(type_name):
                if kind not in _KINDS and kind not in file.types and kind not in file.imported:
                    self._report(line, f"{kind} is no type")


def _children(file: BicepFile, resource: bicep.Resource) -> bool:
    return any(each.nested_in and each.nested_in.name == resource.name for each in file.resources)


def _last_name(expression: Expression) -> str | None:
    match expression:
        case bicep.Name(name=name) | bicep.NestedResource(name=name):
            return name
        case bicep.Index(of=of):
            return _last_name(of)
    return None


def _type_names(kind: TypeName) -> Iterator[str]:
    yield kind.kind
    if kind.element:
        yield from _type_names(kind.element)
    for _, member, _ in kind.members:
        yield from _type_names(member)


# ------------------------------------------------------------------------------------------------------------- modules


def _scope(file: BicepFile, files: Mapping[str, BicepFile]) -> Scope:
    return Scope(file, files, (), {})


def _modules(root: Path, files: Mapping[str, BicepFile], file: BicepFile) -> Iterator[str]:
    for module in file.modules.values():
        place = f"{file.path}:{module.line}"
        path = module_path(file, module)
        if re.match(r"(br|ts)[:/]", module.path):
            yield f"{place}: {module.name} comes from a registry, which nothing here can look into"
            continue
        if path not in files:
            yield f"{place}: {module.name} is {module.path}, which is not there"
            continue
        target = files[path]
        yield from _scopes(place, file, module, target)
        scope = _scope(file, files)
        for body in bicep.bodies(module.value):
            for each in body.properties:
                if each.key not in ("name", "scope", "params", "dependsOn", "identity", "extensionConfigs"):
                    yield f"{file.path}:{each.line}: module {module.name} has no {each.key}"
            _, local = next(iter(scope.turns(module.value)), ((), {}))
            yield from _arguments(file, module, body, target, scope, local)
    yield from _outputs_read(files, file)


def _scopes(place: str, file: BicepFile, module: bicep.Module, target: BicepFile) -> Iterator[str]:
    for body in bicep.bodies(module.value):
        if target.target_scope != file.target_scope and body.get("scope") is None:
            yield (
                f"{place}: {module.name} deploys to a {target.target_scope}, this file to a {file.target_scope}:"
                " give it a scope"
            )


def _arguments(
    file: BicepFile,
    module: bicep.Module,
    body: bicep.Object,
    target: BicepFile,
    scope: Scope,
    local: Mapping[str, Values],
) -> Iterator[str]:
    written = body.get("params")
    if written is not None and not isinstance(written, bicep.Object):
        yield f"{file.path}:{written.line}: module {module.name}: params is no object that can be followed"
        return
    given = {each.key: each for each in (written.properties if isinstance(written, bicep.Object) else ()) if each.key}
    for name, parameter in target.parameters.items():
        if parameter.required and name not in given:
            yield f"{file.path}:{module.line}: module {module.name} misses the parameter {name} of {target.path}"
    for name, each in given.items():
        place = f"{file.path}:{each.line}"
        if name not in target.parameters:
            close = next((known for known in target.parameters if known.lower() == name.lower()), "")
            yield f"{place}: {target.path} has no parameter {name}" + (f": it is written {close}" if close else "")
            continue
        yield from _fits(place, name, scope.value(each.value, local), target.parameters[name], target)


def _fits(place: str, name: str, values: Values, parameter: Parameter, target: BicepFile) -> Iterator[str]:
    """Whether the values may be given to the parameter."""
    allowed = parameter.allowed or parameter.type.literals
    if values == (None,) and not parameter.type.nullable:
        yield f"{place}: {name} is null, which its type does not allow ({target.path})"
    for value in values:
        yield from _type_fits(place, name, value, parameter.type, target)
        if allowed and isinstance(value, str | int) and value not in allowed:
            yield f"{place}: {name} is {value!r}, which is none of {', '.join(map(str, allowed))} ({target.path})"
        if isinstance(value, str):
            low, high = parameter.number("minLength"), parameter.number("maxLength")
            if (low is not None and len(value) < low) or (high is not None and len(value) > high):
                yield f"{place}: {name} is {value!r}, whose length is not from {low or 0} to {high} ({target.path})"
        if isinstance(value, Composed | Unknown) and kind_of(value) == "string":
            yield from _length_fits(place, name, value, parameter, target)
        if isinstance(value, int) and not isinstance(value, bool):
            low, high = parameter.number("minValue"), parameter.number("maxValue")
            if (low is not None and value < low) or (high is not None and value > high):
                yield f"{place}: {name} is {value}, not from {low} to {high} ({target.path})"


def _length_fits(place: str, name: str, value: Value, parameter: Parameter, target: BicepFile) -> Iterator[str]:
    """The compiler warns where a text may be shorter or longer than the parameter takes."""
    least, most = parameter.number("minLength"), parameter.number("maxLength")
    try:
        low, high = lengths((value,))
    except UnmeasuredError:
        return
    if least is not None and low < least:
        yield f"{place}: {name} may be as short as {low} characters, {target.path} wants {least}"
    if most is not None and high is not None and high > most:
        yield f"{place}: {name} may be as long as {high} characters, {target.path} takes {most}"


def _type_fits(place: str, name: str, value: Value, wanted: TypeName, file: BicepFile) -> Iterator[str]:
    if wanted.kind in file.types:
        wanted = file.types[wanted.kind].type
    kind = kind_of(value)
    if kind in ("", "null") or wanted.kind not in _KINDS or wanted.kind == "any":
        return
    if kind != wanted.kind:
        yield f"{place}: {name} wants {wanted.kind}, has {kind} ({file.path})"
        return
    if isinstance(value, List) and wanted.element is not None:
        for item in value.items:
            for each in item:
                yield from _type_fits(place, f"{name}[]", each, wanted.element, file)
    if isinstance(value, Record) and wanted.members:
        members = {key: (member, required) for key, member, required in wanted.members}
        for key, field in value.fields:
            if key in members:
                for each in field.values:
                    yield from _type_fits(field.place, f"{name}.{key}", each, members[key][0], file)
            elif not wanted.open:
                yield f"{field.place}: {name}.{key} is unknown ({file.path})"
        for key, (_, required) in members.items():
            if required and value.complete and value.get(key) is None:
                yield f"{value.place or place}: {name}.{key} is missing ({file.path})"


def _outputs_read(files: Mapping[str, BicepFile], file: BicepFile) -> Iterator[str]:
    """``module.outputs.name`` wherever it is read."""
    for value in file.values():
        for each in bicep.walk(value):
            if not isinstance(each, bicep.Member):
                continue
            if isinstance(each.of, bicep.Member) and each.of.name == "outputs":
                module = file.modules.get(_last_name(each.of.of) or "")
                target = files.get(module_path(file, module)) if module else None
                if module and target and each.name not in target.outputs:
                    yield f"{file.path}:{each.line}: {module.name} ({target.path}) has no output {each.name}"
            elif (
                isinstance(each.of, bicep.Name)
                and each.of.name in file.modules
                and each.name not in ("outputs", "name", "id")
            ):
                yield f"{file.path}:{each.line}: module {each.of.name} has no {each.name}; what it gives is in .outputs"


# ------------------------------------------------------------------------------------------------ outputs, declarations


_AT_START: Final = frozenset({"id", "name", "type", "apiVersion"})


def _known_at_start(file: BicepFile) -> Iterator[str]:
    """Names, conditions and loops are worked out before anything is deployed; parents and dependencies are symbols."""
    for value in (*(each.value for each in file.resources), *(each.value for each in file.modules.values())):
        early: list[Expression] = []
        at = value
        while isinstance(at, bicep.Loop | bicep.Conditional):
            early.append(at.over if isinstance(at, bicep.Loop) else at.condition)
            at = at.body
        for body in bicep.bodies(value):
            early += [each.value for each in body.properties if each.key == "name"]
            parent, after = body.get("parent"), body.get("dependsOn")
            if parent is not None and not isinstance(parent, bicep.Name | bicep.Index | bicep.NestedResource):
                yield f"{file.path}:{parent.line}: parent wants the resource itself"
            if after is not None:
                items = after.items if isinstance(after, bicep.Array) else None
                if items is None and not isinstance(after, bicep.Loop | bicep.Ternary | bicep.Call):
                    yield f"{file.path}:{after.line}: dependsOn wants an array"
                for item in items or ():
                    if isinstance(item, bicep.Member | bicep.Text | bicep.Number):
                        yield f"{file.path}:{item.line}: dependsOn wants the resource itself, not something of it"
        for expression in early:
            yield from _late(file, expression, expression.line, set())


def _late(file: BicepFile, expression: Expression, line: int, seen: set[str]) -> Iterator[str]:
    """What of the expression is known only once something was deployed."""
    for each in bicep.walk(expression):
        if isinstance(each, bicep.Member):
            symbol = _last_name(each.of) or ""
            is_late = file.resource(symbol) is not None and symbol not in file.parameters and each.name not in _AT_START
            if is_late or (symbol in file.modules and each.name == "outputs"):
                yield f"{file.path}:{line}: {symbol}.{each.name} is known only after the deployment began (BCP120)"
        elif isinstance(each, bicep.Name) and each.name in file.variables and each.name not in seen:
            seen.add(each.name)
            yield from _late(file, file.variables[each.name].value, line, seen)


def _module_names(file: BicepFile) -> Iterator[str]:
    """Two modules of one name are one deployment, of which the second replaces the first."""
    seen: dict[str, int] = {}
    for module in file.modules.values():
        for body in bicep.bodies(module.value):
            written = body.get("name")
            name = bicep.constant(written) if written is not None else None
            if isinstance(name, str):
                first = seen.setdefault(name, module.line)
                if first != module.line:
                    place = f"{file.path}:{module.line}"
                    yield f"{place}: module {module.name} is named '{name}', as the one on line {first}"


def _conditions(file: BicepFile, files: Mapping[str, BicepFile]) -> Iterator[str]:
    """What is asked is true or false."""
    scope = _scope(file, files)
    for value in file.values():
        for each in bicep.walk(value):
            if isinstance(each, bicep.Conditional | bicep.Ternary) and isinstance(each.condition, bicep.Name):
                for kind in {kind_of(answer) for answer in scope.value(each.condition)} - {"bool", ""}:
                    yield f"{file.path}:{each.condition.line}: a condition wants bool, {each.condition.name} is {kind}"


def _outputs(file: BicepFile, files: Mapping[str, BicepFile]) -> Iterator[str]:
    scope = _scope(file, files)
    for output in file.outputs.values():
        for value in scope.value(output.value):
            yield from _type_fits(f"{file.path}:{output.line}", f"output {output.name}", value, output.type, file)


def _declarations(file: BicepFile) -> Iterator[str]:
    """Defaults that their own parameter would refuse."""
    scope = _scope(file, {file.path: file})
    for parameter in file.parameters.values():
        place = f"{file.path}:{parameter.line}"
        if parameter.default is not None:
            yield from _fits(place, parameter.name, scope.value(parameter.default), parameter, file)
        for decorator in parameter.decorators:
            wanted = _DECORATED.get(decorator.name)
            if wanted is not None:
                if len(decorator.arguments) != 1 or not isinstance(decorator.arguments[0], wanted[0]):
                    yield f"{place}: @{decorator.name} of {parameter.name} wants {wanted[1]}"
                elif parameter.type.kind in _KINDS and parameter.type.kind not in (*wanted[2], "any"):
                    yield f"{place}: @{decorator.name} means nothing for a parameter of type {parameter.type.kind}"
        for lower, upper in (("minLength", "maxLength"), ("minValue", "maxValue")):
            low, high = parameter.number(lower), parameter.number(upper)
            if low is not None and high is not None and low > high:
                yield f"{place}: {parameter.name}: @{lower} is above @{upper}"


def _loaded(root: Path, file: BicepFile) -> Iterator[str]:
    """Files that are read while compiling are there."""
    for value in file.values():
        for each in bicep.walk(value):
            if isinstance(each, bicep.Call) and each.name.startswith("load") and each.arguments:
                name = bicep.constant(each.arguments[0])
                path = posixpath.normpath(posixpath.join(posixpath.dirname(file.path), str(name)))
                if not isinstance(name, str):
                    yield f"{file.path}:{each.line}: {each.name}() wants a constant path"
                elif not (root / path).is_file():
                    yield f"{file.path}:{each.line}: {each.name}() reads {path}, which is not there"
                elif each.name == "loadJsonContent":
                    try:
                        json.loads((root / path).read_text("utf-8"))
                    except ValueError:
                        yield f"{file.path}:{each.line}: {path} is no JSON"


# -------------------------------------------------------------------------------------------------- parameters as JSON


def parameters_file(root: Path, files: Mapping[str, BicepFile]) -> list[str]:
    """``main.parameters.json`` names parameters of ``main.bicep`` and gives the required ones, of fitting types."""
    path, main = root / PARAMETERS, files.get(MAIN)
    if main is None:
        return [f"{MAIN}:1: not there"]
    if not path.is_file():
        return [f"{PARAMETERS}:1: not there"]
    text = path.read_text("utf-8")
    try:
        document = json.loads(text)
        given: Mapping[str, Any] = document["parameters"]
        pairs = list(given.items())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return [f"{PARAMETERS}:1: cannot be read: {error!r}"]

    def line(name: str) -> str:
        before, found, _ = text.partition(f'"{name}"')
        return f"{PARAMETERS}:{before.count(chr(10)) + 1 if found else 1}"

    found = [
        f"{PARAMETERS}:1: {name}, which {MAIN} needs, is missing"
        for name, parameter in main.parameters.items()
        if parameter.required and name not in given
    ]
    for name, entry in pairs:
        if name not in main.parameters:
            close = next((known for known in main.parameters if known.lower() == name.lower()), "")
            found.append(
                f"{line(name)}: {MAIN} has no parameter {name}" + (f": it is written {close}" if close else "")
            )
        elif (
            not isinstance(entry, dict)
            or set(entry) - {"value", "reference", "metadata"}
            or not set(entry) & {"value", "reference"}
        ):
            found.append(f'{line(name)}: {name} wants {{"value": …}}')
        elif "value" in entry:
            value = _from_json(entry["value"])
            parameter = main.parameters[name]
            if isinstance(value, str) and "$" in value:
                if not re.fullmatch(r"(?:[^$]|\$\{[A-Z_][A-Z0-9_]*(?:=[^}]*)?\})*", value):
                    found.append(f"{line(name)}: {name}: {value!r} is no ${{VARIABLE}} or ${{VARIABLE=default}}")
                default = re.fullmatch(r"\$\{[A-Z_][A-Z0-9_]*=([^}]*)\}", value)
                allowed = parameter.allowed or parameter.type.literals
                if default and allowed and default[1] not in [str(each) for each in allowed]:
                    found.append(f"{line(name)}: {name}: {default[1]!r} is none of {', '.join(map(str, allowed))}")
                continue
            found += _fits(line(name), name, (value,), parameter, main)
    return found


def _from_json(value: Any) -> Value:
    if isinstance(value, list):
        return List(tuple((_from_json(each),) for each in value))
    if isinstance(value, dict):
        from mosaic_ops.checks.infra.evaluation import Field

        return Record(tuple((key, Field((_from_json(each),), "")) for key, each in value.items()))
    return value if isinstance(value, str | int | None) else Unknown()
