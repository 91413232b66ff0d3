"""Bicep files as a model that checks can ask: declarations, expressions and their lines, out of tree-sitter's tree.

tree-sitter accepts more than the compiler does. What it takes in and the compiler refuses is told with its own errors:
missing commas, commas at the end of a line, two statements on one line, names that are declared or set twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

_ESCAPES: Final = {"\\n": "\n", "\\r": "\r", "\\t": "\t", "\\\\": "\\", "\\'": "'", "\\$": "$"}

# --------------------------------------------------------------------------------------------------------- expressions


@dataclass(frozen=True, slots=True)
class Expression:
    """What stands where a value is wanted. `line` counts from 1."""

    line: int


@dataclass(frozen=True, slots=True)
class Text(Expression):
    """A string: its literal pieces and what is interpolated between them, in order."""

    parts: tuple[str | Expression, ...]

    @property
    def constant(self) -> str | None:
        """The whole text where nothing is interpolated."""
        if all(isinstance(part, str) for part in self.parts):
            return "".join(str(part) for part in self.parts)
        return None


@dataclass(frozen=True, slots=True)
class Number(Expression):
    value: int


@dataclass(frozen=True, slots=True)
class Boolean(Expression):
    value: bool


@dataclass(frozen=True, slots=True)
class Null(Expression):
    pass


@dataclass(frozen=True, slots=True)
class Name(Expression):
    name: str


@dataclass(frozen=True, slots=True)
class Member(Expression):
    """``of.name``; `safe` where it is written ``.?`` or with ``!``."""

    of: Expression
    name: str
    safe: bool


@dataclass(frozen=True, slots=True)
class Index(Expression):
    of: Expression
    index: Expression


@dataclass(frozen=True, slots=True)
class NestedResource(Expression):
    """``of::name``."""

    of: Expression
    name: str


@dataclass(frozen=True, slots=True)
class Call(Expression):
    """``name(…)``, or ``of.name(…)``."""

    name: str
    arguments: tuple[Expression, ...]
    of: Expression | None = None


@dataclass(frozen=True, slots=True)
class Property:
    """One line of an object. `key` is None where it is interpolated."""

    key: str | None
    key_expression: Expression
    value: Expression
    line: int


@dataclass(frozen=True, slots=True)
class Object(Expression):
    properties: tuple[Property, ...]
    resources: tuple[Resource, ...] = ()

    def get(self, key: str) -> Expression | None:
        return next((each.value for each in self.properties if each.key == key), None)


@dataclass(frozen=True, slots=True)
class Array(Expression):
    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Loop(Expression):
    """``[for item in over: body]``; `names` are the item and, where there is one, the index."""

    names: tuple[str, ...]
    over: Expression
    body: Expression


@dataclass(frozen=True, slots=True)
class Conditional(Expression):
    """``if (condition) body``."""

    condition: Expression
    body: Expression


@dataclass(frozen=True, slots=True)
class Ternary(Expression):
    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Binary(Expression):
    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Unary(Expression):
    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Lambda(Expression):
    names: tuple[str, ...]
    body: Expression


@dataclass(frozen=True, slots=True)
class Other(Expression):
    """What this model has no word for; `text` is the source."""

    text: str


def children(expression: Expression) -> Iterator[Expression]:
    """The expressions right below. Nested resources' bodies belong to their declarations and are left out."""
    match expression:
        case Text(parts=parts):
            yield from (part for part in parts if isinstance(part, Expression))
        case Member(of=of) | NestedResource(of=of):
            yield of
        case Index(of=of, index=index):
            yield from (of, index)
        case Call(of=of, arguments=arguments):
            yield from ([of] if of else [])
            yield from arguments
        case Object(properties=properties):
            for each in properties:
                # a plain key is no name that refers to anything
                yield from ([each.key_expression] if isinstance(each.key_expression, Text) else [])
                yield each.value
        case Array(items=items):
            yield from items
        case Loop(over=over, body=body):
            yield from (over, body)
        case Conditional(condition=condition, body=body):
            yield from (condition, body)
        case Ternary(condition=condition, then=then, otherwise=otherwise):
            yield from (condition, then, otherwise)
        case Binary(left=left, right=right):
            yield from (left, right)
        case Unary(operand=operand):
            yield operand
        case Lambda(body=body):
            yield body


def walk(expression: Expression) -> Iterator[Expression]:
    """The expression and everything below it."""
    yield expression
    for child in children(expression):
        yield from walk(child)


def bodies(expression: Expression) -> Iterator[Object]:
    """The objects that a declaration's value or a property may be: through loops, conditions and ternaries."""
    match expression:
        case Object():
            yield expression
        case Loop(body=body) | Conditional(body=body):
            yield from bodies(body)
        case Ternary(then=then, otherwise=otherwise):
            yield from bodies(then)
            yield from bodies(otherwise)


# -------------------------------------------------------------------------------------------------------- declarations


@dataclass(frozen=True, slots=True)
class TypeName:
    """A written type. `kind`: string, int, bool, object, array, any, or the name of a declared type.
    `literals` are the allowed values where the type lists them; `members` an object type's, with whether each is
    required."""

    kind: str
    nullable: bool = False
    literals: tuple[str | int | bool, ...] = ()
    element: TypeName | None = None
    members: tuple[tuple[str, TypeName, bool], ...] = ()
    open: bool = False


@dataclass(frozen=True, slots=True)
class Decorator:
    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Declaration:
    name: str
    line: int
    decorators: tuple[Decorator, ...] = field(kw_only=True, default=())

    def decorator(self, name: str) -> Decorator | None:
        return next((each for each in self.decorators if each.name == name), None)

    def number(self, name: str) -> int | None:
        """The number in ``@name(3)``."""
        found = self.decorator(name)
        return (
            found.arguments[0].value if found and found.arguments and isinstance(found.arguments[0], Number) else None
        )

    @property
    def allowed(self) -> tuple[str | int | bool, ...] | None:
        found = self.decorator("allowed")
        if found is None or not found.arguments or not isinstance(found.arguments[0], Array):
            return None
        return tuple(value for item in found.arguments[0].items if (value := constant(item)) is not None)


@dataclass(frozen=True, slots=True)
class Parameter(Declaration):
    type: TypeName = TypeName("any")
    default: Expression | None = None

    @property
    def required(self) -> bool:
        return self.default is None and not self.type.nullable


@dataclass(frozen=True, slots=True)
class Variable(Declaration):
    value: Expression = Null(0)


@dataclass(frozen=True, slots=True)
class Resource(Declaration):
    """`type` and `version` are whole, also for a nested child, whose `parent` is then the name of the resource around
    it. `value` is the body with its loop and condition."""

    type: str = ""
    version: str = ""
    existing: bool = False
    value: Expression = Null(0)
    nested_in: Resource | None = None

    @property
    def is_looped(self) -> bool:
        return isinstance(self.value, Loop)


@dataclass(frozen=True, slots=True)
class Module(Declaration):
    path: str = ""
    value: Expression = Null(0)


@dataclass(frozen=True, slots=True)
class Output(Declaration):
    type: TypeName = TypeName("any")
    value: Expression = Null(0)


@dataclass(frozen=True, slots=True)
class DeclaredType(Declaration):
    type: TypeName = TypeName("any")


@dataclass(frozen=True, slots=True)
class Function(Declaration):
    body: Expression = Null(0)
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a file's text."""

    line: int
    what: str


@dataclass
class BicepFile:
    """One parsed file. `path` is relative to the checkout. `resources` holds nested ones as well."""

    path: str
    source: bytes
    target_scope: str = "resourceGroup"
    parameters: dict[str, Parameter] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    resources: list[Resource] = field(default_factory=list)
    modules: dict[str, Module] = field(default_factory=dict)
    outputs: dict[str, Output] = field(default_factory=dict)
    types: dict[str, DeclaredType] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    imported: dict[str, int] = field(default_factory=dict)
    disabled_rules: list[tuple[int, str]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def resource(self, name: str) -> Resource | None:
        return next((each for each in self.resources if each.name == name), None)

    def declared(self) -> Iterator[Declaration]:
        yield from self.parameters.values()
        yield from self.variables.values()
        yield from self.resources
        yield from self.modules.values()
        yield from self.types.values()
        yield from self.functions.values()

    def values(self) -> Iterator[Expression]:
        """The expressions of all declarations, decorators' left out."""
        yield from (each.default for each in self.parameters.values() if each.default is not None)
        yield from (each.value for each in self.variables.values())
        yield from (each.value for each in self.resources)
        yield from (each.value for each in self.modules.values())
        yield from (each.value for each in self.outputs.values())
        yield from (each.body for each in self.functions.values())


def constant(expression: Expression) -> str | int | bool | None:
    """The value of a literal; None for anything else."""
    match expression:
        case Text():
            return expression.constant
        case Number(value=value) | Boolean(value=value):
            return value
    return None


# ------------------------------------------------------------------------------------------------------------- reading


@cache
def _parser() -> Parser:
    return Parser(Language(tree_sitter_bicep.language()))


@lru_cache(maxsize=128)
def parse(source: bytes, path: str) -> BicepFile:
    """The model of one file. What does not parse is in its `faults`; the rest of the model is what could be read.
    Not to be changed: the same text gives the same model."""
    file = BicepFile(path=path, source=source)
    root = _parser().parse(source.removeprefix(b"\xef\xbb\xbf")).root_node
    reader = _Reader(file)
    reader.faults(root)
    reader.statements(root)
    reader.twice()
    file.faults.sort(key=lambda fault: fault.line)
    return file


def load(root: Path, folder: str = "infra") -> dict[str, BicepFile]:
    """Every Bicep file below `folder`, by its path relative to `root`."""
    return {
        (name := path.relative_to(root).as_posix()): parse(path.read_bytes(), name)
        for path in sorted((root / folder).rglob("*.bicep"))
    }


def _line(node: Node) -> int:
    return node.start_point[0] + 1


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")


def _named(node: Node) -> list[Node]:
    return [child for child in node.named_children if child.type not in ("comment", "diagnostic_comment")]


def _has(node: Node, token: str) -> bool:
    return any(child.type == token for child in node.children)


def _continues(before: Node, node: Node) -> bool:
    """Whether `node` is the bracket of a call or an index that begins with `before`."""
    return node.start_byte == before.end_byte and _text(node)[:1] in ("(", "[") and before.type != "string"


class _Reader:
    def __init__(self, file: BicepFile) -> None:
        self._file = file

    def _fault(self, node: Node, what: str) -> None:
        self._file.faults.append(Fault(_line(node), what))

    # ---------------------------------------------------------------------------------------------------------- faults

    def faults(self, node: Node) -> None:
        if node.is_missing:
            self._fault(node, f"does not parse: {node.type!r} is missing")
        elif node.type == "ERROR":
            self._fault(node, f"does not parse at {_text(node).strip()[:40]!r}")
            return
        elif node.type == "diagnostic_comment":
            self._file.disabled_rules.append((_line(node), _text(node)))
        elif node.type in ("object", "array"):
            self._separators(node)
        elif node.type == "infrastructure":
            self._one_a_line(node)
        for child in node.children:
            self.faults(child)

    def _separators(self, node: Node) -> None:
        """Items are separated by a new line or by a comma, never by nothing and never by both."""
        before: Node | None = None
        comma: Node | None = None
        for child in node.children:
            if child.type in ("comment", "diagnostic_comment", "decorators"):
                continue
            if child.type == ",":
                comma = child
                continue
            if comma is not None and child.start_point[0] != comma.start_point[0]:
                self._fault(comma, "a comma at the end of a line, which the compiler refuses: leave it out")
            elif comma is not None and child.type in ("]", "}"):
                self._fault(comma, "a comma after the last item")
            elif (
                comma is None
                and before is not None
                and child.type not in ("]", "}", "[")
                and child.start_point[0] == before.end_point[0]
                and not _continues(before, child)
            ):
                self._fault(child, f"no comma before {_text(child).strip()[:40]!r}")
            if child.type not in ("{", "["):
                before = child
            comma = None

    def _one_a_line(self, node: Node) -> None:
        before: Node | None = None
        for child in node.children:
            if child.type in ("comment", "diagnostic_comment"):
                continue
            if before is not None and before.type != "decorators" and child.start_point[0] == before.end_point[0]:
                self._fault(child, f"a second statement on the line, {_text(child).strip()[:40]!r}")
            before = child

    def twice(self) -> None:
        """Names that are declared twice, keys that are set twice."""
        seen: dict[str, int] = {}
        for line, name in self._names:
            if name in seen:
                self._file.faults.append(Fault(line, f"{name} is declared twice (line {seen[name]})"))
            seen.setdefault(name, line)
        for value in self._file.values():
            for each in walk(value):
                if isinstance(each, Object):
                    keys: set[str] = set()
                    for item in each.properties:
                        if item.key is not None and item.key in keys:
                            self._file.faults.append(Fault(item.line, f"{item.key} is set twice in one object"))
                        keys.add(item.key or "")

    # ------------------------------------------------------------------------------------------------------ statements

    def statements(self, root: Node) -> None:
        self._names: list[tuple[int, str]] = []
        decorators: tuple[Decorator, ...] = ()
        for node in _named(root):
            if node.type == "decorators":
                decorators += tuple(self._decorators(node))
                continue
            self._statement(node, decorators)
            decorators = ()

    def _decorators(self, node: Node) -> Iterator[Decorator]:
        for each in _named(node):
            call = self.expression(_named(each)[0]) if _named(each) else None
            if isinstance(call, Call):
                yield Decorator(call.name, call.arguments)

    def _statement(self, node: Node, decorators: tuple[Decorator, ...]) -> None:
        file, parts = self._file, _named(node)
        if node.type == "target_scope_assignment":
            value = self.expression(parts[0]) if parts else None
            file.target_scope = str(constant(value)) if value else ""
            return
        if node.type in ("import_statement", "import_functionality"):
            # aliases stand before `from`; what is imported is declared elsewhere
            for each in parts:
                if each.type == "identifier":
                    file.imported[_text(each)] = _line(each)
            return
        name_node = next((each for each in parts if each.type == "identifier"), None)
        if name_node is None or node.type in ("metadata_declaration", "ERROR", "assert_statement"):
            return
        name, line = _text(name_node), _line(node)
        rest = parts[parts.index(name_node) + 1 :]
        has_value = _has(node, "=")
        if node.type == "resource_declaration":
            self._resource(node, None, decorators)
            return
        value = self.expression(rest[-1]) if has_value and rest else Null(line)
        if node.type != "output_declaration":
            self._names.append((line, name))
        match node.type:
            case "parameter_declaration":
                kind = self.type_name(rest[0]) if rest else TypeName("any")
                default = value if has_value else None
                file.parameters[name] = Parameter(name, line, kind, default, decorators=decorators)
            case "variable_declaration":
                file.variables[name] = Variable(name, line, value, decorators=decorators)
            case "output_declaration":
                if name in file.outputs:
                    self._fault(node, f"output {name} is declared twice (line {file.outputs[name].line})")
                kind = self.type_name(rest[0]) if len(rest) > 1 else TypeName("any")
                file.outputs[name] = Output(name, line, kind, value, decorators=decorators)
            case "type_declaration":
                file.types[name] = DeclaredType(name, line, self.type_name(rest[-1]), decorators=decorators)
            case "user_defined_function":
                self._function(node, name, line, decorators)
            case "module_declaration":
                path = next((self._plain(each) for each in rest if each.type == "string"), "")
                file.modules[name] = Module(name, line, path, value, decorators=decorators)

    def _function(self, node: Node, name: str, line: int, decorators: tuple[Decorator, ...]) -> None:
        parameters = next((each for each in _named(node) if each.type == "parameters"), None)
        names = tuple(_text(_named(each)[0]) for each in _named(parameters)) if parameters else ()
        body = self.expression(_named(node)[-1])
        self._file.functions[name] = Function(name, line, body, names, decorators=decorators)

    def _plain(self, node: Node) -> str:
        value = self.expression(node)
        return value.constant or "" if isinstance(value, Text) else ""

    def _resource(self, node: Node, parent: Resource | None, decorators: tuple[Decorator, ...]) -> Resource:
        parts = _named(node)
        names = [each for each in parts if each.type == "identifier"]
        name = _text(names[0]) if names else ""
        full = next((self._plain(each) for each in parts if each.type == "string"), "")
        kind, _, version = full.partition("@")
        self._names.append((_line(node), f"{self._path(parent)}::{name}" if parent else name))
        if parent is not None:
            kind = f"{parent.type}/{kind}"
            version = version or parent.version
        existing = _has(node, "existing") or any(each.type == "existing" for each in parts)
        resource = Resource(name, _line(node), kind, version, existing, Null(0), parent, decorators=decorators)
        position = len(self._file.resources)
        value = self.expression(parts[-1], resource) if _has(node, "=") else Null(_line(node))
        resource = Resource(name, _line(node), kind, version, existing, value, parent, decorators=decorators)
        self._file.resources.insert(position, resource)
        return resource

    def _path(self, resource: Resource) -> str:
        return f"{self._path(resource.nested_in)}::{resource.name}" if resource.nested_in else resource.name

    # ----------------------------------------------------------------------------------------------------- expressions

    def expression(self, node: Node, within: Resource | None = None) -> Expression:
        """`within`: the resource whose body this is, so that nested resources know what they belong to."""
        line, parts = _line(node), _named(node)
        match node.type:
            case "string":
                return self._string(node)
            case "number":
                return Number(line, int(_text(node)))
            case "boolean":
                return Boolean(line, _text(node) == "true")
            case "null":
                return Null(line)
            case "identifier" | "property_identifier" | "primitive_type" | "nullable_return_type":
                return Name(line, _text(node))
            case "parenthesized_expression" if len(parts) == 1:
                return self.expression(parts[0], within)
            case "member_expression":
                return self._member(node)
            case "subscript_expression" if len(parts) >= 2:
                return Index(line, self.expression(parts[0]), self.expression(parts[-1]))
            case "resource_expression":
                return NestedResource(line, self.expression(parts[0]), _text(parts[-1]))
            case "call_expression":
                return self._call(node)
            case "object":
                return self._object(node, within)
            case "array":
                return Array(line, tuple(self._items(parts)))
            case "for_statement":
                return self._loop(node, within)
            case "if_statement" if len(parts) == 2:
                return Conditional(line, self.expression(parts[0]), self.expression(parts[1], within))
            case "ternary_expression" if len(parts) == 3:
                return Ternary(line, *(self.expression(each) for each in parts))
            case "binary_expression" if len(parts) == 2:
                operator = next(_text(each) for each in node.children if not each.is_named)
                return Binary(line, operator, self.expression(parts[0]), self.expression(parts[1]))
            case "unary_expression" if parts:
                operator = next(_text(each) for each in node.children if not each.is_named)
                return Unary(line, operator, self.expression(parts[-1]))
            case "lambda_expression" if len(parts) == 2:
                names = _named(parts[0]) if parts[0].type != "identifier" else [parts[0]]
                return Lambda(line, tuple(_text(each) for each in names), self.expression(parts[1]))
        return Other(line, _text(node))

    def _items(self, parts: list[Node]) -> Iterator[Expression]:
        """tree-sitter takes ``[f(x)]`` for the two items ``f`` and ``(x)``, and ``[a[0]]`` alike."""
        groups: list[list[Node]] = []
        for each in parts:
            if groups and _continues(groups[-1][-1], each):
                groups[-1].append(each)
            else:
                groups.append([each])
        for group in groups:
            if len(group) == 1:
                yield self.expression(group[0])
                continue
            text = b"".join(each.text or b"" for each in group)
            again = _parser().parse(b"\n" * group[0].start_point[0] + b"var x = " + text).root_node
            yield self.expression(_named(_named(again)[0])[-1])

    def _string(self, node: Node) -> Expression:
        raw = _text(node).startswith("'''")
        parts: list[str | Expression] = []
        for each in node.children:
            if each.type == "interpolation":
                inner = _named(each)
                parts.append(self.expression(inner[0]) if inner else Other(_line(each), _text(each)))
            elif each.type == "escape_sequence":
                parts.append(self._escape(_text(each)))
            elif each.is_named:
                text = _text(each)
                # the first new line of a raw string does not count
                parts.append(text.removeprefix("\r").removeprefix("\n") if raw and not parts else text)
        return Text(_line(node), tuple(parts))

    @staticmethod
    def _escape(text: str) -> str:
        if found := re.fullmatch(r"\\u\{([0-9a-fA-F]+)\}", text):
            return chr(int(found[1], 16))
        return _ESCAPES.get(text, text)

    def _member(self, node: Node) -> Expression:
        """tree-sitter takes ``x => x.a`` for ``(x => x).a``; the compiler does not."""
        parts = _named(node)
        of, name = self.expression(parts[0]), _text(parts[-1])
        safe = _has(node, ".?") or _has(node, "!")
        if isinstance(of, Lambda) and parts[0].type == "lambda_expression":
            return Lambda(of.line, of.names, Member(_line(node), of.body, name, safe))
        return Member(_line(node), of, name, safe)

    def _call(self, node: Node) -> Expression:
        parts = _named(node)
        arguments = tuple(self.expression(each) for each in _named(parts[-1])) if len(parts) > 1 else ()
        function = self.expression(parts[0])
        if isinstance(function, Name):
            return Call(_line(node), function.name, arguments)
        if isinstance(function, Member):
            return Call(_line(node), function.name, arguments, function.of)
        if isinstance(function, Lambda) and isinstance(function.body, Name | Member):
            body = function.body
            of = body.of if isinstance(body, Member) else None
            return Lambda(function.line, function.names, Call(_line(node), body.name, arguments, of))
        return Other(_line(node), _text(node))

    def _object(self, node: Node, within: Resource | None) -> Expression:
        properties: list[Property] = []
        resources: list[Resource] = []
        decorators: tuple[Decorator, ...] = ()
        for each in _named(node):
            if each.type == "decorators":
                decorators = tuple(self._decorators(each))
                continue
            inner = _named(each)
            nested = next((part for part in [each, *inner] if part.type == "resource_declaration"), None)
            if nested is not None:
                resources.append(self._resource(nested, within, decorators))
            elif each.type == "object_property" and len(inner) >= 2:
                key = self.expression(inner[0])
                name = key.name if isinstance(key, Name) else key.constant if isinstance(key, Text) else None
                properties.append(Property(name, key, self.expression(inner[-1]), _line(each)))
            decorators = ()
        return Object(_line(node), tuple(properties), tuple(resources))

    def _loop(self, node: Node, within: Resource | None) -> Expression:
        parts = _named(node)
        if len(parts) < 3:
            return Other(_line(node), _text(node))
        names = [parts[0]] if parts[0].type == "identifier" else _named(parts[0])
        body = self.expression(parts[-1], within)
        return Loop(_line(node), tuple(_text(each) for each in names), self.expression(parts[1]), body)

    # ----------------------------------------------------------------------------------------------------------- types

    def type_name(self, node: Node) -> TypeName:
        parts = _named(node)
        match node.type:
            case "type" | "parenthesized_type" | "parenthesized_expression" if len(parts) == 1:
                return self.type_name(parts[0])
            case "nullable_type" if parts:
                inner = self.type_name(parts[0])
                return TypeName(inner.kind, True, inner.literals, inner.element, inner.members, inner.open)
            case "array_type" if parts:
                return TypeName("array", element=self.type_name(parts[0]))
            case "union_type":
                return self._union([self.type_name(each) for each in parts])
            case "object":
                return self._object_type(node)
            case "string" | "number" | "boolean":
                value = constant(self.expression(node))
                kind = "bool" if isinstance(value, bool) else "int" if isinstance(value, int) else "string"
                return TypeName(kind, literals=(value,) if value is not None else ())
            case "null":
                return TypeName("any", nullable=True)
            case "identifier" | "primitive_type":
                text = _text(node)
                return TypeName({"secureString": "string", "secureObject": "object"}.get(text, text))
        return TypeName("any")

    @staticmethod
    def _union(members: list[TypeName]) -> TypeName:
        kinds = {each.kind for each in members if each.literals}
        nullable = any(each.nullable for each in members)
        if len(kinds) != 1 or any(not each.literals and not each.nullable for each in members):
            return TypeName("any", nullable)
        return TypeName(kinds.pop(), nullable, tuple(value for each in members for value in each.literals))

    def _object_type(self, node: Node) -> TypeName:
        members: list[tuple[str, TypeName, bool]] = []
        is_open = False
        for each in node.named_children:
            if each.type != "object_property":
                continue
            inner = _named(each)
            if each.children and each.children[0].type == "*":
                is_open = True
            elif len(inner) >= 2:
                kind = self.type_name(inner[-1])
                key = self.expression(inner[0])
                name = key.name if isinstance(key, Name) else str(constant(key))
                members.append((name, kind, not kind.nullable))
        return TypeName("object", members=tuple(members), open=is_open)


def faults(files: Iterable[BicepFile]) -> list[str]:
    """A line for each place where a file does not parse, or the compiler would refuse what the parser lets pass."""
    return [f"{file.path}:{fault.line}: {fault.what}" for file in files for fault in file.faults]
