"""What the compiler's own linter warns of, as far as it can be told without it: warnings fail there.

By its rules' names: simplify-interpolation, prefer-interpolation, prefer-unquoted-property-names,
no-unnecessary-dependson, no-hardcoded-env-urls, outputs-should-not-contain-secrets, secure-secrets-in-params,
secure-parameter-default, use-stable-resource-identifiers, use-parent-property; of the compiler, BCP318 (what is read of
a resource or module that may not be there). What it cannot take: constructs that the other parsers do not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from mosaic_ops.checks.infra import bicep
from mosaic_ops.checks.infra.bicep import BicepFile, Expression

_URLS: Final = re.compile(
    r"(?<![\w-])(management\.azure\.com|login\.microsoftonline\.com|graph\.windows\.net|gallery\.azure\.com"
    r"|management\.core\.windows\.net|core\.windows\.net|database\.windows\.net|vault\.azure\.net"
    r"|azuredatalakestore\.net|azuredatalakeanalytics\.net|api\.loganalytics\.io|trafficmanager\.net"
    r"|batch\.core\.windows\.net|datalake\.azure\.net|region\.asazure\.windows\.net)",
    re.IGNORECASE,
)
_SECRET_NAME: Final = re.compile(
    r"(password|pwd|secret|accountkey|acctkey|connectionstring|token)$|^(password|pwd|secret)", re.IGNORECASE
)
_IDENTIFIER: Final = re.compile(r"[A-Za-z_]\w*")
_DISABLE: Final = re.compile(r"#disable(-next-line|-diagnostics)?\s*(.*)")


def problems(files: Mapping[str, BicepFile]) -> list[str]:
    found: list[str] = []
    for file in files.values():
        found += _constructs(file)
        found += _expressions(file)
        found += _parameters(file)
        found += _outputs(file)
        found += _dependencies(file)
        found += _conditional(file)
        for line, text in file.disabled_rules:
            rules = _DISABLE.match(text)
            found.append(f"{file.path}:{line}: {rules[2] if rules else text} is switched off: mend what it warns of")
    return list(dict.fromkeys(found))


def _constructs(file: BicepFile) -> Iterator[str]:
    """What only some parsers know: the scanner would look at nothing of the file."""
    for number, line in enumerate(file.source.decode("utf-8", "replace").splitlines(), start=1):
        code = line.partition("//")[0]
        if re.match(r"\s*\.\.\.\w", code):
            yield f"{file.path}:{number}: the spread operator, which not every parser knows: union()"
        if re.search(r"\$'''", code):
            yield f"{file.path}:{number}: an interpolated raw string, which not every parser knows"


def _expressions(file: BicepFile) -> Iterator[str]:
    for value in file.values():
        keys = {
            id(item.key_expression)
            for each in bicep.walk(value)
            if isinstance(each, bicep.Object)
            for item in each.properties
        }
        for each in bicep.walk(value):
            place = f"{file.path}:{each.line}"
            match each:
                case bicep.Text(parts=(only,)) if isinstance(only, bicep.Expression) and id(each) not in keys:
                    yield f"{place}: '${{…}}' alone is the value itself (simplify-interpolation)"
                case bicep.Call(name="concat", arguments=arguments) if arguments and all(
                    isinstance(argument, bicep.Text) for argument in arguments
                ):
                    yield f"{place}: concat() of texts: interpolate (prefer-interpolation)"
                case bicep.Object(properties=properties):
                    for item in properties:
                        if isinstance(item.key_expression, bicep.Text) and item.key and _IDENTIFIER.fullmatch(item.key):
                            yield (
                                f"{file.path}:{item.line}: '{item.key}' needs no quotes"
                                " (prefer-unquoted-property-names)"
                            )
                case bicep.Text(parts=parts):
                    for part in parts:
                        if isinstance(part, str) and (found := _URLS.search(part)):
                            yield f"{place}: {found[1]}: environment() knows it (no-hardcoded-env-urls)"
                case bicep.Index(index=bicep.Text(parts=(str(key),))) if _IDENTIFIER.fullmatch(key):
                    yield f"{place}: ['{key}'] is .{key} (prefer-unquoted-property-names)"


def _parameters(file: BicepFile) -> Iterator[str]:
    for parameter in file.parameters.values():
        place = f"{file.path}:{parameter.line}"
        secure = parameter.decorator("secure") is not None
        if not secure and parameter.type.kind in ("string", "object") and _SECRET_NAME.search(parameter.name):
            yield f"{place}: {parameter.name} sounds like a secret and is not @secure() (secure-secrets-in-params)"
        if secure and parameter.default is not None:
            is_generated = isinstance(parameter.default, bicep.Call) and parameter.default.name == "newGuid"
            is_empty = bicep.constant(parameter.default) == "" or parameter.default == bicep.Object(
                parameter.default.line, ()
            )
            if not is_generated and not is_empty:
                yield f"{place}: {parameter.name} is secure and has a default (secure-parameter-default)"
    for resource in file.resources:
        for body in bicep.bodies(resource.value):
            name = body.get("name")
            for each in bicep.walk(name) if name is not None else ():
                if isinstance(each, bicep.Call) and each.name in ("newGuid", "utcNow"):
                    yield (
                        f"{file.path}:{each.line}: {each.name}() in a name changes each time"
                        " (use-stable-resource-identifiers)"
                    )


def _outputs(file: BicepFile) -> Iterator[str]:
    secure = {name for name, each in file.parameters.items() if each.decorator("secure")}
    for output in file.outputs.values():
        place = f"{file.path}:{output.line}"
        if _SECRET_NAME.search(output.name):
            yield f"{place}: output {output.name} sounds like a secret (outputs-should-not-contain-secrets)"
        for each in bicep.walk(output.value):
            if isinstance(each, bicep.Call) and each.name.startswith("list"):
                yield f"{place}: output {output.name} gives a key away (outputs-should-not-contain-secrets)"
            if isinstance(each, bicep.Name) and each.name in secure:
                yield f"{place}: output {output.name} gives {each.name} away (outputs-should-not-contain-secrets)"


def _dependencies(file: BicepFile) -> Iterator[str]:
    """``dependsOn`` that a reference says already."""
    values = [*(each.value for each in file.resources), *(each.value for each in file.modules.values())]
    for value in values:
        for body in bicep.bodies(value):
            written = body.get("dependsOn")
            if not isinstance(written, bicep.Array):
                continue
            rest = bicep.Object(body.line, tuple(each for each in body.properties if each.key != "dependsOn"))
            used = {each.name for each in bicep.walk(rest) if isinstance(each, bicep.Name)}
            for item in written.items:
                if isinstance(item, bicep.Name) and item.name in used:
                    yield (
                        f"{file.path}:{item.line}: dependsOn {item.name}, which is referred to"
                        " anyway (no-unnecessary-dependson)"
                    )
                elif isinstance(item, bicep.Call | bicep.Text):
                    yield f"{file.path}:{item.line}: dependsOn wants the resource itself, not its id"


def _conditional(file: BicepFile) -> Iterator[str]:
    """``maybe.properties.x`` of what has a condition: it wants ``maybe!.…`` or ``maybe.?…``."""
    maybe = {each.name for each in file.resources if isinstance(each.value, bicep.Conditional)}
    maybe |= {each.name for each in file.modules.values() if isinstance(each.value, bicep.Conditional)}
    for value in file.values():
        for each in bicep.walk(value):
            if (
                isinstance(each, bicep.Member)
                and not each.safe
                and _symbol(each.of) in maybe
                and each.name not in ("id", "name", "type", "apiVersion")
            ):
                yield (
                    f"{file.path}:{each.line}: {_symbol(each.of)} may not be there: write"
                    f" {_symbol(each.of)}!.{each.name} or .?{each.name} (BCP318)"
                )


def _symbol(expression: Expression) -> str:
    return expression.name if isinstance(expression, bicep.Name) else ""
