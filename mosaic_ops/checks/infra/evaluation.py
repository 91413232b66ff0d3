"""What a deployment would be, as far as the files alone say it: resources with their values, across modules.

An expression has a set of possible values. A parameter of the entry file is what the caller of `deploy` says, or
anything that its type allows; what only Azure knows is `Unknown`, and what points at a resource is a `Reference`.
Conditions that are certain choose a branch, others keep both: a check that demands a value demands it of all of them.
"""

from __future__ import annotations

import itertools
import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from mosaic_ops.checks.infra import bicep
from mosaic_ops.checks.infra.bicep import BicepFile, Expression

MOST: Final = 64
"""Possible values of one expression; beyond that it is unknown."""


@dataclass(frozen=True)
class Unknown:
    """A value that the files do not say. `what` names it for a person, `kind` is its written type (string, int, bool,
    array, object; empty where nothing is known), `lowest` and `highest` are its decorators' limits: of a number its
    value, of a text its length."""

    what: str = ""
    kind: str = ""
    lowest: int | None = None
    highest: int | None = None


@dataclass(frozen=True)
class Missing:
    """A property that is not set."""


@dataclass(frozen=True)
class Reference:
    """A resource, or something of it: ``Reference(("app", "site"), ("properties", "hostName"))``."""

    address: tuple[str, ...]
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Composed:
    """A text or the answer of a function with parts that are not known. `function` is empty for a text."""

    function: str
    parts: tuple[Values, ...]


@dataclass(frozen=True)
class Field:
    values: Values
    place: str


@dataclass(frozen=True)
class Record:
    """An object. `complete`: it has no other keys than these."""

    fields: tuple[tuple[str, Field], ...]
    complete: bool = True
    place: str = field(default="", compare=False)

    def get(self, key: str) -> Field | None:
        return dict(self.fields).get(key)


@dataclass(frozen=True)
class List:
    """An array. `complete`: it has no other items than these."""

    items: tuple[Values, ...]
    complete: bool = True


type Value = str | int | bool | Unknown | Missing | Reference | Composed | Record | List | _Module | _Outputs | None
type Values = tuple[Value, ...]


@dataclass(frozen=True)
class _Module:
    scope: Scope
    present: Values


@dataclass(frozen=True)
class _Outputs:
    scope: Scope
    present: Values


@dataclass(frozen=True)
class Instance:
    """A resource as it is deployed. `present`: the values of its condition, never only False."""

    address: tuple[str, ...]
    declaration: bicep.Resource
    scope: Scope
    body: Values
    present: Values
    parent: Reference | None

    @property
    def type(self) -> str:
        return self.declaration.type

    @property
    def place(self) -> str:
        return f"{self.scope.file.path}:{self.declaration.line}"

    def at(self, path: str) -> list[Field]:
        """The possible values below the body at ``properties.a.b``, each with its place."""
        return list(_at(self.body, path.split("."), self.place))

    def texts(self, path: str) -> set[str]:
        """All constant texts within the value, those inside of function calls and arrays included."""
        return {text for each in self.at(path) for text in texts(each.values)}

    def references(self, path: str) -> set[Reference]:
        return {each for found in self.at(path) for each in references(found.values)}


def _at(values: Values, path: Sequence[str], place: str) -> Iterator[Field]:
    if not path:
        yield Field(values, place)
        return
    for value in values:
        if isinstance(value, Record):
            found = value.get(path[0])
            if found is not None:
                yield from _at(found.values, path[1:], found.place)
            else:
                yield Field((Missing() if value.complete else Unknown(path[0]),), place)
        elif isinstance(value, Missing) or value is None:
            yield Field((Missing(),), place)
        else:
            yield Field((Unknown(path[0]),), place)


def texts(values: Values) -> Iterator[str]:
    """Every constant text in there."""
    for value in values:
        match value:
            case str():
                yield value
            case Composed(parts=parts) | List(items=parts):
                for part in parts:
                    yield from texts(part)
            case Record(fields=fields):
                for _, each in fields:
                    yield from texts(each.values)


def references(values: Values) -> Iterator[Reference]:
    for value in values:
        match value:
            case Reference():
                yield value
            case Composed(parts=parts) | List(items=parts):
                for part in parts:
                    yield from references(part)
            case Record(fields=fields):
                for _, each in fields:
                    yield from references(each.values)


@dataclass(eq=False)
class Scope:
    """One file with its parameters' values. `address` is the chain of modules that leads here."""

    file: BicepFile
    files: Mapping[str, BicepFile]
    address: tuple[str, ...]
    arguments: Mapping[str, Values]
    caller: Scope | None = None
    defaults_only: bool = False
    depth: int = 0
    _known: dict[str, Values] = field(default_factory=dict)
    _modules: dict[str, list[Scope]] = field(default_factory=dict)

    # ---------------------------------------------------------------------------------------------------------- names

    def parameter(self, name: str) -> Values:
        declared = self.file.parameters[name]
        given = self.arguments.get(name)
        if given is not None:
            if declared.default is not None and None in given:
                # null for a parameter with a default is its default
                given = _distinct([each for each in given if each is not None] + [*self.value(declared.default)])
            return given
        if self.depth:
            if declared.default is not None:
                return self.value(declared.default)
            return (None,) if declared.type.nullable else (_of(declared),)
        default = self.value(declared.default) if declared.default is not None else ()
        if declared.type.nullable:
            default = (*default, None)
        if self.defaults_only and default:
            return default
        return _distinct([*default, *self.anything(declared)])

    def anything(self, declared: bicep.Parameter) -> Values:
        """All that a person may give."""
        listed = declared.allowed or declared.type.literals
        if listed:
            return tuple(listed)
        return (True, False) if declared.type.kind == "bool" else (_of(declared),)

    def name(self, name: str, local: Mapping[str, Values]) -> Values:
        if name in local:
            return local[name]
        if name in self._known:
            return self._known[name]
        self._known[name] = (Unknown(name),)  # a circle ends here; the wiring check tells of it
        if name in self.file.parameters:
            found = self.parameter(name)
        elif name in self.file.variables:
            found = self.value(self.file.variables[name].value)
        elif name in self.file.modules:
            present = self.present(self.file.modules[name].value)
            children = self.module(name)
            found = tuple(_Module(child, present) for child in children) or (Unknown(name),)
            if isinstance(self.file.modules[name].value, bicep.Loop):
                found = (List(tuple((each,) for each in found)),)
        elif self.file.resource(name) is not None:
            found = (Reference((*self.address, name)),)
        else:
            found = (Unknown(name),)
        self._known[name] = found
        return found

    def present(self, value: Expression, local: Mapping[str, Values] | None = None) -> Values:
        """The condition of a declaration; True where it has none."""
        if isinstance(value, bicep.Loop):
            return self.present(value.body, local)
        if isinstance(value, bicep.Conditional):
            return _truth(self.value(value.condition, local))
        return (True,)

    def module(self, name: str) -> list[Scope]:
        """The scopes of the module, one for each turn of its loop; empty where the file is not there."""
        if name in self._modules:
            return self._modules[name]
        declared = self.file.modules[name]
        path = module_path(self.file, declared)
        self._modules[name] = []
        if path in self.files and self.depth < 8:
            for turn, local in self.turns(declared.value):
                self._modules[name] += [
                    Scope(
                        self.files[path],
                        self.files,
                        (*self.address, name, *turn),
                        {each.key: self.value(each.value, local) for each in _parameters(body) if each.key is not None},
                        self,
                        self.defaults_only,
                        self.depth + 1,
                    )
                    for body in bicep.bodies(declared.value)
                ]
        return self._modules[name]

    def turns(self, value: Expression) -> Iterator[tuple[tuple[str, ...], dict[str, Values]]]:
        """The loop's variables for each item that is known, or once with an unknown one."""
        if not isinstance(value, bicep.Loop):
            yield (), {}
            return
        over = self.value(value.over)
        known = [each for each in over if isinstance(each, List)]
        if len(known) == len(over) and all(each.complete for each in known):
            longest = max(known, key=lambda each: len(each.items))
            for position, item in enumerate(longest.items):
                yield (str(position),), _bound(value.names, (item, (position,)))
            return
        items = [item for each in known for item in each.items]
        for position, item in enumerate(items):
            yield (str(position),), _bound(value.names, (item, (position,)))
        yield ("*",), _bound(value.names, ((Unknown(value.names[0]),), (Unknown("index"),)))

    # ------------------------------------------------------------------------------------------------------ resources

    def instances(self) -> Iterator[Instance]:
        """Every resource that may be deployed from here on, existing ones too."""
        for declared in self.file.resources:
            for turn, local in self._all_turns(declared):
                present = self._all_present(declared, local)
                if present == (False,):
                    continue
                for body in bicep.bodies(declared.value):
                    address = (*self.address, declared.name, *turn)
                    yield Instance(
                        address, declared, self, self.value(body, local), present, self._parent(declared, body, local)
                    )
                    break
        for name, declared_module in self.file.modules.items():
            if self.present(declared_module.value) == (False,):
                continue
            for child in self.module(name):
                yield from child.instances()

    def _all_turns(self, declared: bicep.Resource) -> Iterator[tuple[tuple[str, ...], dict[str, Values]]]:
        outer = declared.nested_in and self.file.resource(declared.nested_in.name)
        for turn, local in self._all_turns(outer) if outer else iter([((), {})]):
            for inner_turn, inner in self.turns(declared.value):
                yield (*turn, *inner_turn), {**local, **inner}

    def _all_present(self, declared: bicep.Resource, local: Mapping[str, Values]) -> Values:
        present = self.present(declared.value, local)
        outer = declared.nested_in and self.file.resource(declared.nested_in.name)
        above = self._all_present(outer, local) if outer else (True,)
        if present == (False,) or above == (False,):
            return (False,)
        return (True,) if present == (True,) and above == (True,) else (True, False)

    def _parent(self, declared: bicep.Resource, body: bicep.Object, local: Mapping[str, Values]) -> Reference | None:
        if declared.nested_in is not None:
            return Reference((*self.address, declared.nested_in.name))
        written = body.get("parent")
        found = self.value(written, local) if written is not None else ()
        return next((each for each in found if isinstance(each, Reference)), None)

    # --------------------------------------------------------------------------------------------------------- values

    def value(self, expression: Expression, local: Mapping[str, Values] | None = None) -> Values:
        found = self._value(expression, local or {})
        return found if len(found) <= MOST else (Unknown("many values"),)

    def _value(self, expression: Expression, local: Mapping[str, Values]) -> Values:
        match expression:
            case bicep.Text(parts=parts):
                pieces = [(part,) if isinstance(part, str) else self.value(part, local) for part in parts]
                return _text(pieces)
            case bicep.Number(value=value) | bicep.Boolean(value=value):
                return (value,)
            case bicep.Null():
                return (None,)
            case bicep.Name(name=name):
                return self.name(name, local)
            case bicep.Object():
                return (self._record(expression, local),)
            case bicep.Array(items=items):
                return (List(tuple(self.value(item, local) for item in items)),)
            case bicep.Ternary(condition=condition, then=then, otherwise=otherwise):
                branches = {True: then, False: otherwise}
                found: list[Value] = []
                for truth in _truth(self.value(condition, local)):
                    found += self.value(branches[truth], {**local, **self._narrowed(condition, truth, local)})
                return _distinct(found)
            case bicep.Conditional(body=body):
                return self.value(body, local)
            case bicep.Loop():
                return self._loop(expression, local)
            case bicep.Binary():
                return self._binary(expression, local)
            case bicep.Unary(operator=operator, operand=operand):
                return _unary(operator, self.value(operand, local))
            case bicep.Member(of=of, name=name):
                return _distinct([got for each in self.value(of, local) for got in self._member(each, name)])
            case bicep.Index(of=of, index=index):
                return self._index(self.value(of, local), self.value(index, local))
            case bicep.NestedResource(of=of, name=name):
                return tuple(
                    Reference((*each.address[:-1], name)) if isinstance(each, Reference) else Unknown(name)
                    for each in self.value(of, local)
                )
            case bicep.Call():
                return self._call(expression, local)
        return (Unknown(),)

    def _narrowed(self, condition: Expression, truth: bool, local: Mapping[str, Values]) -> dict[str, Values]:
        """What a condition that turned out so says of the name that it asks about."""
        match condition:
            case bicep.Unary(operator="!", operand=operand):
                return self._narrowed(operand, not truth, local)
            case bicep.Binary(operator="&&", left=left, right=right) if truth:
                return {**self._narrowed(left, truth, local), **self._narrowed(right, truth, local)}
            case bicep.Binary(operator="||", left=left, right=right) if not truth:
                return {**self._narrowed(left, truth, local), **self._narrowed(right, truth, local)}
        names = [each.name for each in bicep.walk(condition) if isinstance(each, bicep.Name)]
        if len(set(names)) != 1 or not isinstance(condition, bicep.Name | bicep.Binary | bicep.Call):
            return {}
        values = self.value(bicep.Name(condition.line, names[0]), local)
        kept = tuple(each for each in values if truth in _truth(self.value(condition, {**local, names[0]: (each,)})))
        return {names[0]: kept} if kept else {}

    def _record(self, expression: bicep.Object, local: Mapping[str, Values]) -> Record:
        fields: dict[str, Field] = {}
        complete = True
        for each in expression.properties:
            place = f"{self.file.path}:{each.line}"
            keys: Values = (each.key,) if each.key is not None else self.value(each.key_expression, local)
            for key in keys:
                if isinstance(key, str):
                    fields[key] = Field(self.value(each.value, local), place)
                else:
                    complete = False
        return Record(tuple(fields.items()), complete, f"{self.file.path}:{expression.line}")

    def _loop(self, loop: bicep.Loop, local: Mapping[str, Values]) -> Values:
        over = self.value(loop.over, local)
        found: list[Value] = []
        for each in over:
            if not isinstance(each, List):
                item = self.value(loop.body, {**local, **_bound(loop.names, ((Unknown(),), (Unknown(),)))})
                found.append(List((item,), complete=False))
                continue
            items = [
                (self.present(loop.body, inner), self.value(loop.body, inner))
                for position, item in enumerate(each.items)
                if (inner := {**local, **_bound(loop.names, (item, (position,)))}) is not None
            ]
            kept = tuple(value for present, value in items if present != (False,))
            found.append(List(kept, each.complete and all(present != (True, False) for present, _ in items)))
        return _distinct(found)

    def _member(self, of: Value, name: str) -> Values:
        match of:
            case Record():
                found = of.get(name)
                if found is not None:
                    return found.values
                return (None,) if of.complete else (Unknown(name),)
            case _Module(scope=scope, present=present) if name == "outputs":
                return (_Outputs(scope, present),)
            case _Outputs(scope=scope, present=present):
                if present == (False,):
                    return (None,)
                output = scope.file.outputs.get(name)
                got = scope.value(output.value) if output else (Unknown(name),)
                return got if present == (True,) else _distinct([*got, None])
            case Reference(address=address, path=()) if name == "name":
                return self._name_of(address)
            case Reference(address=address, path=path):
                return (Reference(address, (*path, name)),)
            case None:
                return (None,)
        return (Composed(f".{name}", ((of,),)),)

    def _name_of(self, address: tuple[str, ...]) -> Values:
        """A resource's name, where this file declares it and it can be known."""
        symbol = address[len(self.address)] if address[: len(self.address)] == self.address else ""
        declared = self.file.resource(symbol)
        if declared is None or isinstance(declared.value, bicep.Loop):
            return (Reference(address, ("name",)),)
        found: list[Value] = []
        for body in bicep.bodies(declared.value):
            written = body.get("name")
            found += self.value(written) if written is not None else ()
        return _distinct(found) or (Reference(address, ("name",)),)

    def _index(self, of: Values, index: Values) -> Values:
        found: list[Value] = []
        for each, at in itertools.product(of, index):
            if isinstance(each, Reference):
                found.append(Reference((*each.address, str(at) if isinstance(at, int) else "*"), each.path))
            elif isinstance(each, List) and isinstance(at, int) and 0 <= at < len(each.items):
                found += each.items[at]
            elif isinstance(each, List) and not isinstance(at, int):
                found += [value for item in each.items for value in item] + [Unknown()]
            elif isinstance(each, Record) and isinstance(at, str):
                found += self._member(each, at)
            else:
                found.append(Unknown())
        return _distinct(found)

    def _binary(self, expression: bicep.Binary, local: Mapping[str, Values]) -> Values:
        left = self.value(expression.left, local)
        operator = expression.operator
        if operator in ("&&", "||"):
            ends = operator == "||"
            first = _truth(left)
            if first == (ends,):
                return (ends,)
            second = _truth(self.value(expression.right, local))
            return _distinct([a or b if ends else a and b for a, b in itertools.product(first, second)])
        right = self.value(expression.right, local)
        if operator == "??":
            kept = [each for each in left if each is not None and not isinstance(each, Missing)]
            return _distinct([*kept, *right]) if len(kept) < len(left) else left
        return _distinct([_compare(operator, a, b) for a, b in itertools.product(left, right)])

    def _call(self, call: bicep.Call, local: Mapping[str, Values]) -> Values:
        arguments = [self.value(each, local) for each in call.arguments if not isinstance(each, bicep.Lambda)]
        if call.of is not None and not (isinstance(call.of, bicep.Name) and call.of.name in ("az", "sys")):
            return (Composed(call.name, (self.value(call.of, local), *arguments)),)
        declared = self.file.functions.get(call.name)
        if declared is not None:
            return self.value(declared.body, dict(zip(declared.names, arguments, strict=False)))
        if len(call.arguments) == 2 and isinstance(call.arguments[1], bicep.Lambda):
            return self._over(call.name, arguments[0], call.arguments[1], local)
        function = _FUNCTIONS.get(call.name)
        if function is not None and arguments:
            chosen = itertools.islice(itertools.product(*arguments), MOST)
            return _distinct([_apply(function, call.name, each) for each in chosen])
        return (Composed(call.name, tuple(arguments)),)

    def _over(self, name: str, over: Values, body: bicep.Lambda, local: Mapping[str, Values]) -> Values:
        """``map`` and ``filter``; others are unknown."""
        found: list[Value] = []
        for each in over:
            if not isinstance(each, List) or name not in ("map", "filter"):
                found.append(Composed(name, ((each,),)))
                continue
            inner = [
                (item, self.value(body.body, {**local, **_bound(body.names, (item, (position,)))}))
                for position, item in enumerate(each.items)
            ]
            if name == "map":
                found.append(List(tuple(answer for _, answer in inner), each.complete))
            else:
                kept = tuple(item for item, answer in inner if _truth(answer) != (False,))
                sure = all(len(_truth(answer)) == 1 for _, answer in inner)
                found.append(List(kept, each.complete and sure))
        return _distinct(found)


def _parameters(body: bicep.Object) -> tuple[bicep.Property, ...]:
    found = body.get("params")
    return found.properties if isinstance(found, bicep.Object) else ()


def module_path(file: BicepFile, module: bicep.Module) -> str:
    """The module's file relative to the checkout, whether it is there or not."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(file.path), module.path))


def _of(declared: bicep.Parameter) -> Unknown:
    kind = declared.type.kind
    kind = kind if kind in ("string", "int", "bool", "array", "object") else ""
    measure = "Value" if kind == "int" else "Length"
    return Unknown(declared.name, kind, declared.number(f"min{measure}"), declared.number(f"max{measure}"))


def _bound(names: Sequence[str], values: Sequence[Values]) -> dict[str, Values]:
    return dict(zip(names, values, strict=False))


def _distinct(values: Sequence[Value]) -> Values:
    """Without repetitions; True is not 1."""
    seen: list[tuple[type, Value]] = []
    for each in values:
        if (type(each), each) not in seen:
            seen.append((type(each), each))
    return tuple(value for _, value in seen)


def _truth(values: Values) -> tuple[bool, ...]:
    """The truth values that are possible."""
    if all(isinstance(each, bool) for each in values) and values:
        return tuple(dict.fromkeys(bool(each) for each in values))
    return (True, False)


def _text(pieces: Sequence[Values]) -> Values:
    found: list[Value] = []
    for chosen in itertools.islice(itertools.product(*pieces), MOST):
        if all(isinstance(each, str | int) for each in chosen):
            found.append("".join(_written(each) for each in chosen))
        else:
            found.append(Composed("", tuple((each,) for each in chosen)))
    return _distinct(found) if pieces else ("",)


def _written(value: Value) -> str:
    return str(value) if not isinstance(value, bool) else "True" if value else "False"


def _unary(operator: str, values: Values) -> Values:
    if operator == "!":
        return tuple(not each for each in _truth(values))
    if operator == "-":
        return tuple(-each if isinstance(each, int) else Unknown() for each in values)
    return (Unknown(),)


def _constant(value: Value) -> bool:
    return value is None or isinstance(value, str | int)


def _compare(operator: str, left: Value, right: Value) -> Value:
    if operator in ("==", "!=", "=~", "!~"):
        if not (_constant(left) and _constant(right)):
            return Unknown("a comparison")
        if operator in ("=~", "!~"):
            return (str(left).lower() == str(right).lower()) == (operator == "=~")
        return (type(left) is type(right) and left == right) == (operator == "==")
    if isinstance(left, int) and isinstance(right, int):
        table: dict[str, Callable[[int, int], int | bool]] = {
            "<": int.__lt__,
            "<=": int.__le__,
            ">": int.__gt__,
            ">=": int.__ge__,
            "+": int.__add__,
            "-": int.__sub__,
            "*": int.__mul__,
        }
        if operator in table:
            return table[operator](left, right)
    return Unknown(f"a {operator}")


# ----------------------------------------------------------------------------------------------------------- functions


class _NotKnownError(Exception):
    """The function cannot say, with these arguments."""


def _apply(function: Callable[..., Value], name: str, arguments: Sequence[Value]) -> Value:
    try:
        return function(*arguments)
    except (_NotKnownError, TypeError):
        return Composed(name, tuple((each,) for each in arguments))


def _str(value: Value) -> str:
    if not isinstance(value, str):
        raise _NotKnownError
    return value


def _union(*values: Value) -> Value:
    if all(isinstance(each, List) for each in values):
        arrays = [each for each in values if isinstance(each, List)]
        items = tuple(dict.fromkeys(item for each in arrays for item in each.items))
        return List(items, all(each.complete for each in arrays))
    fields: dict[str, Field] = {}
    complete = True
    for each in values:
        if isinstance(each, Record):
            for key, found in each.fields:
                old = fields.get(key)
                fields[key] = _merged(old, found) if old else found
            complete = complete and each.complete
        else:
            # an object that is not known may set anything anew
            complete = False
            fields = {key: replace(old, values=_distinct([*old.values, Unknown(key)])) for key, old in fields.items()}
    place = next((each.place for each in reversed(values) if isinstance(each, Record)), "")
    return Record(tuple(fields.items()), complete, place)


def _merged(old: Field, new: Field) -> Field:
    """``union`` merges objects within objects."""
    if (
        len(old.values) == len(new.values) == 1
        and isinstance(old.values[0], Record)
        and isinstance(new.values[0], Record)
    ):
        return Field((_union(old.values[0], new.values[0]),), new.place)
    return new


def _concat(*values: Value) -> Value:
    if any(isinstance(each, List) for each in values):
        arrays = [each for each in values if isinstance(each, List)]
        items = tuple(item for each in arrays for item in each.items)
        return List(items, len(arrays) == len(values) and all(each.complete for each in arrays))
    return "".join(_str(each) for each in values)


def _empty(value: Value) -> Value:
    match value:
        case List():
            if value.items or value.complete:
                return not value.items
        case Record():
            if value.fields or value.complete:
                return not value.fields
        case str():
            return not value
        case None:
            return True
        case Reference():
            return False
        case Composed(function="", parts=parts) if any(
            isinstance(each, str) and each for part in parts for each in part
        ):
            return False
    raise _NotKnownError


def _length(value: Value) -> Value:
    if isinstance(value, List) and value.complete:
        return len(value.items)
    return len(_str(value))


def _contains(where: Value, what: Value) -> Value:
    if isinstance(where, Record) and isinstance(what, str):
        if where.get(what) or where.complete:
            return where.get(what) is not None
        raise _NotKnownError
    if isinstance(where, List) and _constant(what):
        if (what,) in where.items:
            return True
        if where.complete and all(len(item) == 1 and _constant(item[0]) for item in where.items):
            return False
        raise _NotKnownError
    return _str(what) in _str(where)


def _items(value: Value) -> Value:
    if not isinstance(value, Record):
        raise _NotKnownError
    pairs = sorted(value.fields)
    return List(
        tuple((Record((("key", Field((key,), each.place)), ("value", each))),) for key, each in pairs), value.complete
    )


def _range(first: Value, count: Value) -> Value:
    if not isinstance(first, int) or not isinstance(count, int) or count > 1000:
        raise _NotKnownError
    return List(tuple((each,) for each in range(first, first + count)))


def _flatten(value: Value) -> Value:
    if not isinstance(value, List):
        raise _NotKnownError
    inner = [item[0] for item in value.items if len(item) == 1 and isinstance(item[0], List)]
    if len(inner) != len(value.items):
        raise _NotKnownError
    return _concat(*inner) if inner else List(())


def _string(value: Value) -> Value:
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, str | int):
        return str(value)
    raise _NotKnownError


def _first(value: Value) -> Value:
    if isinstance(value, List) and value.items and len(value.items[0]) == 1:
        return value.items[0][0]
    raise _NotKnownError


def _replace(text: Value, old: Value, new: Value) -> Value:
    return _str(text).replace(_str(old), _str(new))


def _bool(value: Value) -> Value:
    return {"true": True, "1": True, "false": False, "0": False}[_str(value).lower()]


_FUNCTIONS: Final[Mapping[str, Callable[..., Value]]] = {
    "union": _union,
    "concat": _concat,
    "empty": _empty,
    "length": _length,
    "contains": _contains,
    "items": _items,
    "range": _range,
    "flatten": _flatten,
    "string": _string,
    "first": _first,
    "replace": _replace,
    "bool": _bool,
    "toLower": lambda text: _str(text).lower(),
    "toUpper": lambda text: _str(text).upper(),
    "take": lambda text, count: _str(text)[: max(0, int(count))],
    "trim": lambda text: _str(text).strip(),
    "startsWith": lambda text, what: _str(text).lower().startswith(_str(what).lower()),
    "endsWith": lambda text, what: _str(text).lower().endswith(_str(what).lower()),
}


def deploy(
    files: Mapping[str, BicepFile], entry: str, given: Mapping[str, Value] | None = None, *, defaults_only: bool = False
) -> list[Instance]:
    """What `entry` deploys. `given`: parameters that are certain; the others may be anything that is allowed, or their
    defaults alone."""
    return list(_deployed(_Files(files), entry, tuple((given or {}).items()), defaults_only))


class _Files(dict[str, BicepFile]):
    """Files by path; the same texts are the same files."""

    def __init__(self, files: Mapping[str, BicepFile]) -> None:
        super().__init__(files)
        self._key = tuple((path, file.source) for path, file in sorted(files.items()))

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Files) and self._key == other._key


@lru_cache(maxsize=16)
def _deployed(
    files: _Files, entry: str, given: tuple[tuple[str, Value], ...], defaults_only: bool
) -> tuple[Instance, ...]:
    """Each part of the check asks for the same few."""
    arguments: dict[str, Values] = {name: (value,) for name, value in given if name in files[entry].parameters}
    return tuple(Scope(files[entry], files, (), arguments, defaults_only=defaults_only).instances())
