"""The queries of infra/monitoring: every table, column, property and value that one names is one that the app emits.

What the app emits is in emitted.json, which a test compares with a run of the app (`tests.support.exported` writes it):
the columns of each table, the properties of each kind of row (a span's name, a log line's message), and the values of
properties that have few. A query is read as far as that takes: statements, operators of the pipe, names. What this
reader does not know it reports as well, so that nothing passes unread.

Where a query keeps only some kinds of row (``where Message == "attempt failed"``), a property counts only if one of
these bears it.
"""

import difflib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

FOLDER: Final = "infra/monitoring"
EMITTED: Final = f"{FOLDER}/emitted.json"
WORKBOOK: Final = f"{FOLDER}/workbook.json"
MODULE: Final = "infra/modules/monitoring.bicep"
QUERIES: Final = ("alerts", "kql")

ENUMERATED: Final = frozenset(
    {
        "approvalStatus",
        "code",
        "commandType",
        "lane",
        "mosaic.command.type",
        "mosaic.lane",
        "mosaic.outcome",
        "mosaic.settlement",
        "mosaic.stage",
        "outcomeCode",
        "queue",
        "reviewRequired",
        "service.name",
        "severity",
        "signalCode",
        "status",
    }
)
"""Properties with few values, all of which are known."""

_ROW_NAMES: Final = ("Message", "Name", "OuterMessage")
"""The column that says what a row is of, in the tables that have it."""

_FUNCTIONS: Final = frozenset(
    "ago arg_max arg_min array_length avg bin case coalesce count countif datetime datetime_diff dcount dcountif "
    "dynamic format_datetime iff int isempty isnotempty isnotnull isnull long make_list make_set make_set_if max maxif "
    "min minif not now percentile percentiles real round set_difference startofday strcat sum sumif take_any timespan "
    "tobool todatetime todouble toint tolong tolower tostring".split()
)
_WORDS: Final = frozenset("and or in has contains startswith endswith between true false null asc desc by".split())
_COMPARISONS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "=": str.__eq__,
    "==": str.__eq__,
    "=~": str.__eq__,
    "contains": str.__contains__,
    "endswith": str.endswith,
    "has": str.__contains__,
    "startswith": str.startswith,
}
"""How a text fits a value, by the operator without its "!"."""

_UNNAMED: Final = frozenset({"arg_max", "arg_min", "count"})
"""Aggregates whose columns are named by themselves; all others are given a name."""


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    line: int

    @property
    def value(self) -> str:
        """Of a string, what it says."""
        return self.text[1:-1].replace('\\"', '"').replace("\\'", "'").replace("\\\\", "\\")


_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+|//[^\n]*)
  | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
  | (?P<number>\d+(?:\.\d+)?(?:ms|min|[dhms])?\b)
  | (?P<name>(?:project|mv|make)-[a-z]+|[A-Za-z_]\w*)
  | (?P<parameter>\{\w+(?::\w+)?\})
  | (?P<mark>==|!=|=~|<=|>=|!(?:in|has|contains|startswith|endswith|between)\b|\.\.|[|=<>+\-*/%(),;.\[\]])
    """,
    re.VERBOSE,
)


class UnreadableError(Exception):
    """The text is none that this reader knows; ``token`` is where it stopped."""

    def __init__(self, token: Token, why: str) -> None:
        super().__init__(why)
        self.token = token


def tokens(text: str) -> list[Token]:
    """Raises `UnreadableError`."""
    found: list[Token] = []
    at, line = 0, 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise UnreadableError(Token("mark", text[at], line), "is nothing that a query of ours holds")
        kind = match.lastgroup or ""
        if kind != "space":
            found.append(Token(kind, match.group(), line))
        line += match.group().count("\n")
        at = match.end()
    return found


# ------------------------------------------------------------------------------------------------------ what there is


@dataclass(frozen=True, slots=True)
class Emitted:
    """What the app emits, by table."""

    columns: Mapping[str, frozenset[str]]
    rows: Mapping[str, Mapping[str, frozenset[str]]]
    """table → name of a kind of row → its properties."""
    values: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Emitted":
        tables: Mapping[str, Any] = told["tables"]
        return cls(
            columns={name: frozenset(table["columns"]) for name, table in tables.items()},
            rows={
                name: {row: frozenset(keys) for row, keys in table["rows"].items()} for name, table in tables.items()
            },
            values={name: frozenset(values) for name, values in told["values"].items()},
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """Rows of one table: all (None), or those of these names."""

    table: str
    names: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """``bag``: the rows whose Properties it is. ``domain``: what its values are, for a comparison with a text: a
    property's name, or the column of row names of its tables."""

    bag: tuple[Kept, ...] = ()
    domain: str = ""
    tables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """What a pipe holds at some point."""

    columns: Mapping[str, Column]

    def keeping(self, names: frozenset[str]) -> "Table":
        """After a filter on the column of row names."""

        def kept(it: Kept) -> Kept:
            return replace(it, names=names if it.names is None else it.names & names)

        return Table(
            {name: replace(column, bag=tuple(kept(it) for it in column.bag)) for name, column in self.columns.items()}
        )


def _source(emitted: Emitted, table: str) -> Table:
    columns: dict[str, Column] = {name: Column() for name in emitted.columns[table]}
    columns["Properties"] = Column(bag=(Kept(table),))
    for name in _ROW_NAMES:
        if name in columns:
            columns[name] = Column(domain=name, tables=(table,))
    return Table(columns)


def _joined(left: Table, right: Table, *, is_union: bool) -> Table:
    columns = dict(left.columns)
    for name, column in right.columns.items():
        there = columns.get(name)
        if there is None:
            columns[name] = column
        elif is_union:
            same = there.domain == column.domain
            columns[name] = Column(
                bag=(*there.bag, *column.bag),
                domain=there.domain if same else "",
                tables=tuple(dict.fromkeys((*there.tables, *column.tables))) if same else (),
            )
        else:
            columns[f"{name}1"] = column
    return Table(columns)


# ------------------------------------------------------------------------------------------------------------- reading


@dataclass(slots=True)
class Query:
    """One query being read. ``found`` takes (line, what is wrong), ``columns`` are those of its last pipe."""

    emitted: Emitted
    text: str
    found: list[tuple[int, str]] = field(default_factory=list)
    columns: frozenset[str] = frozenset()
    _tables: dict[str, Table] = field(default_factory=dict)
    _scalars: set[str] = field(default_factory=set)

    def read(self) -> list[tuple[int, str]]:
        try:
            statements = _split(tokens(self.text), ";")
            for statement in statements:
                if statement:
                    self._statement(statement)
            if not any(statements):
                self.found.append((1, "says nothing"))
        except UnreadableError as error:
            self.found.append((error.token.line, f"{error.token.text}: {error}"))
        return self.found

    def _statement(self, parts: Sequence[Token]) -> None:
        if parts[0].text != "let":
            self.columns = frozenset(self._pipe(parts).columns)
            return
        if len(parts) < 4 or parts[1].kind != "name" or parts[2].text != "=":
            raise UnreadableError(parts[0], "is no `let name = …`")
        name, value = parts[1].text, parts[3:]
        is_tabular = len(_split(value, "|")) > 1 or value[0].text in self._tables or value[0].text in self.emitted.rows
        if is_tabular:
            self._tables[name] = self._pipe(value)
        else:
            self._expression(value, Table({}))
            self._scalars.add(name)

    def _pipe(self, parts: Sequence[Token]) -> Table:
        source, *operators = _split(parts, "|")
        table = self._read_source(source, parts[0])
        for operator in operators:
            if not operator:
                raise UnreadableError(parts[0], "an operator is missing after |")
            table = self._operator(operator[0], operator[1:], table)
        return table

    def _read_source(self, parts: Sequence[Token], near: Token) -> Table:
        if not parts:
            raise UnreadableError(near, "begins with no table")
        first = parts[0]
        if first.text == "(" and parts[-1].text == ")":
            return self._pipe(parts[1:-1])
        if len(parts) > 1 or first.kind != "name":
            raise UnreadableError(first, "is no table to begin with")
        if first.text in self._tables:
            return self._tables[first.text]
        if first.text not in self.emitted.columns:
            self._complain(first, "no table that the app fills", self.emitted.columns)
            return Table(_Anything())
        return _source(self.emitted, first.text)

    # ------------------------------------------------------------------------------------------------------- operators

    def _operator(self, what: Token, rest: Sequence[Token], table: Table) -> Table:
        match what.text:
            case "where":
                return self._where(rest, table)
            case "extend":
                return Table({**table.columns, **self._assigned(rest, table)})
            case "project" | "distinct":
                return Table(self._assigned(rest, table, bare=True))
            case "project-away":
                self._expression(rest, table)
                gone = {token.text for token in rest}
                return Table({name: column for name, column in table.columns.items() if name not in gone})
            case "summarize":
                aggregates, _, groups = _partition(rest, "by")
                named = self._assigned(groups, table, bare=True)
                return Table({**named, **self._assigned(aggregates, table, aggregates=True)})
            case "order" | "sort" if rest and rest[0].text == "by":
                self._expression(rest[1:], table)
                return table
            case "top":
                count, _, by = _partition(rest, "by")
                self._expression(count, Table({}))
                self._expression(by, table)
                return table
            case "take" | "limit":
                self._expression(rest, Table({}))
                return table
            case "count" if not rest:
                return Table({"Count": Column()})
            case "join":
                return self._join(what, rest, table)
            case "union":
                for part in _split(rest, ","):
                    table = _joined(table, self._read_source(part, what), is_union=True)
                return table
            case "render" if rest and rest[0].kind == "name":
                return table
        raise UnreadableError(what, "is an operator that this check does not know")

    def _join(self, what: Token, rest: Sequence[Token], table: Table) -> Table:
        if [token.text for token in rest[:2]] != ["kind", "="]:
            raise UnreadableError(what, "says no kind")
        source, _, keys = _partition(rest[3:], "on")
        right = self._read_source(source, what)
        for side in (table, right):
            self._expression(keys, side)
        return _joined(table, right, is_union=False)

    def _where(self, rest: Sequence[Token], table: Table) -> Table:
        if len(_split(rest, "or")) == 1:
            for condition in _split(rest, "and"):
                names = self._row_names(condition, table)
                if names is not None:
                    table = table.keeping(names)
        self._expression(rest, table)
        return table

    def _row_names(self, condition: Sequence[Token], table: Table) -> frozenset[str] | None:
        """The names that a condition keeps rows of, where it is about these."""
        if len(condition) < 3 or table.columns.get(condition[0].text, Column()).domain not in _ROW_NAMES:
            return None
        if condition[1].text == "==" and len(condition) == 3:
            return frozenset({condition[2].value})
        if condition[1].text == "in":
            return frozenset(token.value for token in condition[2:] if token.kind == "string")
        return None

    def _assigned(
        self, parts: Sequence[Token], table: Table, *, bare: bool = False, aggregates: bool = False
    ) -> dict[str, Column]:
        """The columns of ``a = …, b, (p, q) = …``; ``bare``: a column may stand by itself."""
        columns: dict[str, Column] = {}
        for part in _split(parts, ","):
            if not part:
                continue
            names, equals, value = _partition(part, "=")
            if equals:
                self._expression(value, table)
                for name in names:
                    if name.kind == "name":
                        columns[name.text] = self._column(value, table)
                continue
            self._expression(part, table)
            inner = [token for token in part[2:] if token.kind == "name"]
            if bare and len(part) == 1:
                columns[part[0].text] = table.columns.get(part[0].text, Column())
            elif bare and part[0].text == "bin" and inner:
                columns[inner[0].text] = Column()
            elif aggregates and part[0].text in _UNNAMED:
                if part[0].text == "count":
                    columns["count_"] = Column()
                elif any(token.text == "*" for token in part):
                    columns |= table.columns
                columns |= {token.text: table.columns.get(token.text, Column()) for token in inner}
            else:
                raise UnreadableError(part[0], "is given no name")
        return columns

    def _column(self, value: Sequence[Token], table: Table) -> Column:
        """What a new column of this value is: as the one that it is made of alone."""
        inner = value[2:-1] if len(value) > 3 and value[0].text == "tostring" and value[-1].text == ")" else value
        if len(inner) == 1:
            return table.columns.get(inner[0].text, Column())
        key = _key(inner, 0) if inner and table.columns.get(inner[0].text, Column()).bag else None
        return Column(domain=key[0]) if key is not None and key[2] == len(inner) else Column()

    # ----------------------------------------------------------------------------------------------------- expressions

    def _expression(self, parts: Sequence[Token], table: Table) -> None:
        """Every name in it is a function, a word, a column or a `let`; every text that is compared is one that its
        column can have."""
        at = 0
        while at < len(parts):
            token = parts[at]
            following = parts[at + 1].text if at + 1 < len(parts) else ""
            if token.kind == "name" and token.text in {"dynamic", "datetime", "timespan"} and following == "(":
                at = _closing(parts, at + 1)  # a literal
            elif token.kind == "name" and following == "(" and token.text not in _WORDS:
                if token.text not in _FUNCTIONS:
                    self._complain(token, "no function that this check knows", _FUNCTIONS)
            elif token.kind == "name" and token.text not in _WORDS and token.text not in self._scalars:
                at = self._field(parts, at, table)
            elif token.kind == "string":
                self._compared(parts, at, table)
            at += 1

    def _field(self, parts: Sequence[Token], at: int, table: Table) -> int:
        """Check a column, and the property of it; where it ends."""
        token = parts[at]
        column = table.columns.get(token.text)
        if column is None:
            self._complain(token, "no column here, nor one that the app fills", table.columns)
            return at
        key = _key(parts, at)
        if key is None:
            if at + 1 < len(parts) and parts[at + 1].text in {".", "["}:
                raise UnreadableError(parts[at + 1], f"follows {token.text}, of which this check knows no parts")
            return at
        name, where, end = key
        if not column.bag:
            if not isinstance(table.columns, _Anything):
                raise UnreadableError(parts[at + 1], f"follows {token.text}, of which this check knows no parts")
            return end - 1
        known = {
            key
            for kept in column.bag
            for row, keys in self.emitted.rows[kept.table].items()
            if kept.names is None or row in kept.names
            for key in keys
        }
        if name not in known:
            whose = " or ".join(dict.fromkeys(_described(kept) for kept in column.bag))
            self._complain(replace(where, text=f"Properties.{name}"), f"no property of {whose}", known, of=name)
        return end - 1

    def _compared(self, parts: Sequence[Token], at: int, table: Table) -> None:
        """A text that is compared with a column of few values."""
        operator = at - 1
        if operator >= 0 and parts[operator].text in {"(", ","}:
            while operator >= 0 and (parts[operator].kind == "string" or parts[operator].text in {"(", ","}):
                operator -= 1
            if operator < 0 or parts[operator].text not in {"in", "!in"}:
                return
        elif operator < 0 or parts[operator].text.removeprefix("!") not in _COMPARISONS:
            if at + 2 < len(parts) and parts[at + 1].text in {"==", "!="}:
                raise UnreadableError(parts[at], "stands on the left: write the column first")
            return
        column = self._left_of(parts, operator, table)
        if column is None:
            return
        known: Collection[str] = self.emitted.values.get(column.domain, frozenset())
        if column.domain in _ROW_NAMES:
            known = {name for it in column.tables for name in self.emitted.rows[it]}
        elif column.domain not in ENUMERATED:
            return
        token = parts[at]
        fits = _COMPARISONS.get(parts[operator].text.removeprefix("!"), str.__eq__)
        if not any(fits(value, token.value) for value in known):
            what = f"no {column.domain} that the app gave"
            self._complain(token, what, known, of=token.value)

    def _left_of(self, parts: Sequence[Token], operator: int, table: Table) -> Column | None:
        """The column that stands before an operator, by itself or within tostring()."""
        begin = end = operator
        if end > 0 and parts[end - 1].text == ")":
            begin = _opening(parts, end - 1) - 1
            if begin < 0 or parts[begin].text != "tostring":
                return None
        else:
            begin -= 1
            while begin > 0 and (parts[begin].text in {".", "[", "]"} or parts[begin - 1].text in {".", "["}):
                begin -= 1
        if begin < 0:
            return None
        return self._column(parts[begin:end], table)

    def _complain(self, token: Token, what: str, known: Collection[str], *, of: str | None = None) -> None:
        near = difflib.get_close_matches(of or token.text, list(known), n=1)
        self.found.append((token.line, f"{token.text}: {what}{f' ({near[0]}?)' if near else ''}"))


class _Anything(dict[str, Column]):
    """The columns of a table that is not known: each is there, so that only the table is complained of."""

    def get(self, name: str, default: Any = None) -> Any:
        return Column()


def _described(kept: Kept) -> str:
    return kept.table if kept.names is None else f"{kept.table} rows named {' or '.join(sorted(kept.names))}"


def _key(parts: Sequence[Token], at: int) -> tuple[str, Token, int] | None:
    """Of ``column.name`` or ``column["name"]`` from ``at`` on: the name, its token, and where it ends."""
    if at + 2 < len(parts) and parts[at + 1].text == "." and parts[at + 2].kind == "name":
        return parts[at + 2].text, parts[at + 2], at + 3
    if (
        at + 3 < len(parts)
        and parts[at + 1].text == "["
        and parts[at + 2].kind == "string"
        and parts[at + 3].text == "]"
    ):
        return parts[at + 2].value, parts[at + 2], at + 4
    return None


_OPEN: Final = {"(": 1, "[": 1, ")": -1, "]": -1}


def _split(parts: Sequence[Token], mark: str) -> list[list[Token]]:
    """At each ``mark`` that stands in no brackets."""
    found: list[list[Token]] = [[]]
    depth = 0
    for token in parts:
        depth += _OPEN.get(token.text, 0)
        if depth < 0:
            raise UnreadableError(token, "closes nothing")
        if depth == 0 and token.text == mark and token.kind != "string":
            found.append([])
        else:
            found[-1].append(token)
    if depth:
        raise UnreadableError(parts[-1], "a bracket is not closed before it")
    return found


def _partition(parts: Sequence[Token], mark: str) -> tuple[Sequence[Token], bool, Sequence[Token]]:
    """Around the first ``mark`` that stands in no brackets."""
    head, *tail = _split(parts, mark)
    return head, bool(tail), parts[len(head) + 1 :]


def _closing(parts: Sequence[Token], at: int) -> int:
    depth = 0
    for index in range(at, len(parts)):
        depth += _OPEN.get(parts[index].text, 0)
        if depth == 0:
            return index
    raise UnreadableError(parts[at], "is not closed")


def _opening(parts: Sequence[Token], at: int) -> int:
    depth = 0
    for index in range(at, -1, -1):
        depth -= _OPEN.get(parts[index].text, 0)
        if depth == 0:
            return index
    raise UnreadableError(parts[at], "closes nothing")


# ------------------------------------------------------------------------------------------------------------ the files


_FENCE: Final = re.compile(r"^ *```(?:kql|kusto)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_INLINE: Final = re.compile(r"^\s*(?:query|searchQuery): *'")
_LOADED: Final = re.compile(r"loadTextContent\('\.\./(monitoring/[^']+)'\)")


@dataclass(frozen=True)
class Monitoring:
    """The folder's files, and the documents' ``kql`` fences."""

    root: Path

    @cached_property
    def emitted(self) -> Emitted:
        return Emitted.of(json.loads((self.root / EMITTED).read_text("utf-8")))

    def queries(self) -> Iterator[tuple[str, str]]:
        """(where it stands, its text) of each."""
        for path in self.files():
            yield path, (self.root / path).read_text("utf-8")
        for document in sorted((self.root / "docs").rglob("*.md")):
            for number, fence in enumerate(_FENCE.findall(document.read_text("utf-8")), start=1):
                yield f"{document.relative_to(self.root)} (query {number})", fence
        if (self.root / WORKBOOK).is_file():
            for name, text in _of_workbook(json.loads((self.root / WORKBOOK).read_text("utf-8"))):
                yield f"{WORKBOOK} ({name})", text

    def files(self) -> list[str]:
        found = [path for folder in QUERIES for path in (self.root / FOLDER / folder).glob("*.kql")]
        return sorted(str(path.relative_to(self.root)) for path in found)


def _of_workbook(item: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Each log query of a workbook, by the name of its step."""
    if isinstance(item, list):
        for it in item:
            yield from _of_workbook(it, name)
    elif isinstance(item, dict):
        name = str(item.get("name") or name)
        if isinstance(query := item.get("query"), str) and item.get("queryType", 0) == 0:
            yield name, query
        for it in item.values():
            yield from _of_workbook(it, name)


def problems(root: Path) -> list[str]:
    """A line for each name in a query that the app does not emit, each query that cannot be read, each file that the
    Bicep module does not load or that it loads and is not there, and each query that stands in a template. No folder:
    nothing to say."""
    if not (root / FOLDER).is_dir():
        return []
    if not (root / EMITTED).is_file():
        return [f"{EMITTED}: is missing; python -m tests.support.exported writes it"]
    monitoring = Monitoring(root)
    found: list[str] = []
    for where, text in monitoring.queries():
        found += [f"{where}:{line}: {what}" for line, what in Query(monitoring.emitted, text).read()]
    module = (root / MODULE).read_text("utf-8") if (root / MODULE).is_file() else ""
    loaded = {f"infra/{path}" for path in _LOADED.findall(module)}
    there = {*monitoring.files(), *([WORKBOOK] if (root / WORKBOOK).is_file() else [])}
    found += [f"{path}: is loaded by no loadTextContent of {MODULE}" for path in sorted(there - loaded)]
    found += [f"{MODULE}: {path}: is not there" for path in sorted(loaded - there)]
    for template in sorted((root / "infra").rglob("*.bicep")):
        for number, line in enumerate(template.read_text("utf-8").splitlines(), start=1):
            if _INLINE.match(line):
                found.append(
                    f"{template.relative_to(root)}:{number}: a query that stands here is not read: load a file"
                )
    return found
