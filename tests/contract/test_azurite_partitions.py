"""Azurite with our look-up by partition answers as Azurite alone does, and looks at the rows that are asked for."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.data.tables import EdmType, TableTransactionError, UpdateMode
from azure.data.tables.aio import TableClient

from mosaic_core.adapters.record_rows import Row
from mosaic_core.adapters.tables.writes import encode
from mosaic_local import azurite as part
from mosaic_local.state import ROOT
from mosaic_ops.bootstrap.azurite import version
from tests.support.azurite import Azurite, running_azurite

KEYS: Final = (
    "",
    "a",
    "A",
    "b",
    "ab",
    "a'b",
    "a b",
    "é",
    "漢",
    "😀",
    "\uffee",
    "1",
    "1.0",
    "10",
    "9",
    "1e1",
    "%41",
    "run",
)
NAMES: Final = ("__proto__", "constructor", "PartitionKey", "null", "true")
COMPARISONS: Final = ("eq", "ne", "ge", "gt", "le", "lt")
MODULE: Final = Path(part.__file__).with_name("azurite_start.cjs")

type Step = tuple[Any, ...]
"""What is done, and with what: the same for both."""


def key(rng: Random) -> str:
    return rng.choice(KEYS[:6] if rng.random() < 0.6 else KEYS + NAMES)


def entity(rng: Random, partition: str, row_key: str) -> dict[str, Any]:
    values: dict[str, Any] = {
        "Number": rng.randrange(5),
        "Text": rng.choice(KEYS),
        "Truth": rng.random() < 0.5,
        "Double": rng.choice((0.5, 1.0, 2.25)),
    }
    kept = {name: value for name, value in values.items() if rng.random() < 0.7}
    return {"PartitionKey": partition, "RowKey": row_key, **kept}


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def condition(rng: Random, depth: int = 0) -> str:
    """A filter of any shape: by keys for the most part, some of it mirrored, negated, nested, or wrong."""
    drawn = rng.random()
    compared = rng.choice(COMPARISONS)
    if depth < 3 and drawn < 0.45:
        word = "and" if rng.random() < 0.75 else "or"
        left, right = condition(rng, depth + 1), condition(rng, depth + 1)
        return f"({left}) {word} ({right})" if rng.random() < 0.5 else f"{left} {word} {right}"
    if drawn < 0.8:
        name = rng.choice(("PartitionKey", "PartitionKey", "RowKey"))
        sides = [name, literal(key(rng))]
        return f" {compared} ".join(sides if rng.random() < 0.8 else sides[::-1])
    if drawn < 0.85:
        return f"not ({condition(rng, depth + 1)})"
    return rng.choice(
        (
            f"Number {compared} {rng.randrange(5)}",
            f"Number {compared} {rng.randrange(5)}L",
            f"Text {compared} {literal(rng.choice(KEYS))}",
            "Truth eq true",
            "Absent eq 'x'",
            "partitionkey eq 'a'",
            "PartitionKey eq 1",
            "PartitionKey eq guid'11111111-1111-1111-1111-111111111111'",
            "PartitionKey ge RowKey",
            f"Timestamp {compared} datetime'2026-11-24T00:00:00Z'",
            "PartitionKey eq",
            "true",
        )
    )


def member(rng: Random, partition: str) -> Step:
    kind = rng.choice(("create", "upsert_merge", "upsert_replace", "update", "delete"))
    return kind, entity(rng, partition, key(rng))


def steps(rng: Random, count: int) -> Iterator[Step]:
    for _ in range(count):
        drawn, here = rng.random(), key(rng)
        if drawn < 0.5:
            kind, what = member(rng, here)
            yield kind, what, rng.choice(("any", "last", "older"))
        elif drawn < 0.56:
            yield "read", here, key(rng)
        elif drawn < 0.66:
            of_rows = {what["RowKey"]: (kind, what) for kind, what in (member(rng, here) for _ in range(4))}
            yield "batch", list(of_rows.values())
        elif drawn < 0.97:
            yield "query", condition(rng), rng.choice((None, 1, 2, 3, 1000)), rng.random() < 0.3
        elif drawn < 0.99:
            yield "query", "", rng.choice((None, 1, 5)), False
        else:
            yield ("table",)


@dataclass
class One:
    """A table of one of the two, and what its client remembers."""

    client: TableClient
    etags: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    place: Any = None
    """Where a query that was broken off goes on."""

    async def do(self, step: Step) -> object:
        """What came of it, without what differs between any two services: times and ETags."""
        try:
            return await getattr(self, step[0])(*step[1:])
        except TableTransactionError as error:
            return "refused", error.index, error.status_code
        except HttpResponseError as error:
            return "refused", error.status_code, getattr(error, "error_code", None)

    async def create(self, what: dict[str, Any], _tag: str) -> None:
        self.saw(what, await self.client.create_entity(what))

    async def upsert_merge(self, what: dict[str, Any], _tag: str) -> None:
        self.saw(what, await self.client.upsert_entity(what, mode=UpdateMode.MERGE))

    async def upsert_replace(self, what: dict[str, Any], _tag: str) -> None:
        self.saw(what, await self.client.upsert_entity(what, mode=UpdateMode.REPLACE))

    async def update(self, what: dict[str, Any], tag: str) -> None:
        self.saw(what, await self.client.update_entity(what, mode=UpdateMode.REPLACE, **self.matching(what, tag)))

    async def delete(self, what: dict[str, Any], tag: str) -> None:
        await self.client.delete_entity(what["PartitionKey"], what["RowKey"], **self.matching(what, tag))

    async def read(self, partition: str, row_key: str) -> object:
        return dict(await self.client.get_entity(partition, row_key))

    async def batch(self, members: Sequence[Step]) -> object:
        operations = [
            ("upsert", what, {"mode": UpdateMode.MERGE if kind == "upsert_merge" else UpdateMode.REPLACE})
            if kind.startswith("upsert")
            else (kind, what)
            for kind, what in members
        ]
        return len(await self.client.submit_transaction(operations))

    async def query(self, filtered: str, top: int | None, goes_on: bool) -> list[list[dict[str, Any]]]:
        """The first three pages; the next query may go on behind them, whatever its filter."""
        found = self.client.query_entities(filtered, results_per_page=top)
        pages = found.by_page(self.place if goes_on else None)
        read: list[list[dict[str, Any]]] = []
        self.place = None
        async for page in pages:
            read.append([dict(row) async for row in page])
            if len(read) == 3:
                self.place = pages.continuation_token  # type: ignore[attr-defined]
                break
        return read

    async def table(self) -> None:
        await self.client.delete_table()
        await self.client.create_table()

    def saw(self, what: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        self.etags.setdefault((what["PartitionKey"], what["RowKey"]), []).append(answer["etag"])

    def matching(self, what: Mapping[str, Any], tag: str) -> dict[str, Any]:
        known = self.etags.get((what["PartitionKey"], what["RowKey"]), [])
        if tag == "any" or not known:
            return {}
        return {"etag": known[-1 if tag == "last" else 0], "match_condition": MatchConditions.IfNotModified}


@pytest.fixture(scope="module")
def two() -> Iterator[tuple[Azurite, Azurite]]:
    with running_azurite() as ours, running_azurite(prepared=False) as alone:
        yield ours, alone


async def opened(stack: AsyncExitStack, service: Azurite, name: str) -> One:
    # what Azurite answers with a 500 is an answer as well, and is not asked for again
    client = TableClient.from_connection_string(service.tables.connection_string, name, retry_total=0)
    await stack.enter_async_context(client)
    await client.create_table()
    return One(client)


async def alike(two: tuple[Azurite, Azurite], seed: int, count: int) -> None:
    rng = Random(seed)
    async with AsyncExitStack() as stack:
        ours, alone = [await opened(stack, service, f"Seed{seed}") for service in two]
        for number, step in enumerate([*steps(rng, count), ("query", "", None, False)]):
            assert await ours.do(step) == await alone.do(step), (seed, number, step)


async def test_azurite_answers_the_same_with_and_without_it(two: tuple[Azurite, Azurite]) -> None:
    await alike(two, seed=0, count=80)


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_azurite_answers_the_same_in_many_lives(two: tuple[Azurite, Azurite]) -> None:
    for seed in range(1, 101):
        await alike(two, seed, count=300)


@pytest.mark.parametrize(
    "first", [pytest.param(True, id="ours first"), pytest.param(False, id="ours last", marks=pytest.mark.slow)]
)
async def test_what_one_wrote_to_a_folder_the_other_reads(tmp_path: Path, first: bool) -> None:
    made = list(steps(Random(7), 40))
    pages: list[object] = []
    for prepared in (first, not first):
        with running_azurite(tmp_path, prepared=prepared) as service:
            async with TableClient.from_connection_string(service.tables.connection_string, "Kept") as client:
                one = One(client)
                if not pages:
                    await client.create_table()
                    for step in made:
                        await one.do(step)
                pages.append(await one.query("", None, False))
                pages.append(await one.query("PartitionKey ge 'a'", 2, False))
    assert pages[0] == pages[2]
    assert pages[1] == pages[3]
    assert pages[0] != [[]]


COUNTING: Final = """
const [module, script, prepared] = process.argv.slice(1);
if (prepared === "true") require(module)(script);
const at = (name) => require(require("path").join(require("path").dirname(script), "table/persistence", name)).default;
const [Store, Generator] = [at("LokiTableMetadataStore"), at("LokiTableStoreQueryGenerator")];
let looked = 0;
const where = Generator.generateQueryForPersistenceLayer;
Generator.generateQueryForPersistenceLayer = (...of) => {
  const found = where(...of);
  return (entity) => { looked++; return found(entity); };
};
(async () => {
  const store = new Store("", true);
  await store.init();
  await store.createTable({}, { account: "a", table: "t" });
  const row = (partition, key) => ({ PartitionKey: partition, RowKey: key, properties: { Even: key % 2 === 0 } });
  for (let n = 0; n < 3000; n++) await store.insertTableEntity({}, "t", "a", row(`p${n % 30}`, String(1000 + n)), "");
  const seen = {};
  for (const filter of JSON.parse(process.argv[4])) {
    looked = 0;
    const [found] = await store.queryTableEntities({}, "a", "t", { filter, top: 10 });
    seen[filter] = [found.length, looked];
  }
  console.log(JSON.stringify(seen));
})();
"""


def counted(filters: Sequence[str], *, prepared: bool) -> dict[str, list[int]]:
    """Of 3,000 rows in 30 partitions: how many each filter found, ten at most, and how many it was tried on."""
    node, script = part.locate()
    command = [node, "-e", COUNTING, "--", str(MODULE), str(script), str(prepared).lower(), json.dumps(filters)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    found: dict[str, list[int]] = json.loads(done.stdout)
    return found


def test_a_range_looks_at_its_own_rows_alone() -> None:
    one = "PartitionKey eq 'p7'"
    filters = [
        one,
        f"{one} and Even eq false",
        f"{one} and Even eq true",
        f"{one} and RowKey ge '3900'",
        f"{one} and RowKey lt '1068'",
        "PartitionKey gt 'p7' and PartitionKey lt 'p8'",
        "PartitionKey ge 'p7' and PartitionKey lt 'p9' and Even eq true",
        "PartitionKey eq 'none'",
        f"{one} or PartitionKey eq 'p9'",
    ]
    ours, alone = counted(filters, prepared=True), counted(filters, prepared=False)
    assert {name: found for name, (found, _) in ours.items()} == {name: found for name, (found, _) in alone.items()}
    assert [looked for _, looked in alone.values()] == [3000] * len(filters)
    # ten and the one that says that there are more; a partition without a match is looked through
    assert [looked for _, looked in ours.values()] == [11, 11, 100, 3, 3, 0, 111, 0, 2711]


async def test_rows_of_a_file_are_there_from_the_start_as_if_they_had_been_inserted(tmp_path: Path) -> None:
    row: Row = {"At": datetime(2026, 11, 24, 1, 2, 3, 4, UTC), "Wide": 2**40, "Half": 0.5, "Text": "it's", "Yes": True}
    file = tmp_path / "rows.jsonl"
    lines = [{"table": "Filled", "row": json.loads(encode("p", str(number), row))} for number in range(3)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    with running_azurite(rows=file) as service:
        async with TableClient.from_connection_string(service.tables.connection_string, "Filled") as client:
            await client.create_entity({"PartitionKey": "p", "RowKey": "3", **row, "Wide": (2**40, EdmType.INT64)})
            found = [dict(entity) async for entity in client.query_entities("PartitionKey eq 'p'")]
            with pytest.raises(HttpResponseError, match="EntityAlreadyExists"):
                await client.create_entity({"PartitionKey": "p", "RowKey": "0"})
    assert [entity.pop("RowKey") for entity in found] == ["0", "1", "2", "3"]
    assert all(entity == found[3] for entity in found)


def test_it_was_tried_with_the_azurite_that_is_installed() -> None:
    assert f'VERSION = "{version(ROOT)}"' in MODULE.read_text("utf-8")


async def test_another_azurite_starts_as_it_is_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "azurite_start.cjs"
    other.write_text(MODULE.read_text("utf-8").replace(f'"{version(ROOT)}"', '"0.0.1"'), "utf-8")
    monkeypatch.setattr(part, "_PREPARE", other)
    with running_azurite(tmp_path / "data") as service:
        async with TableClient.from_connection_string(service.tables.connection_string, "Plain") as client:
            await client.create_table()
            assert [row async for row in client.list_entities()] == []
        said = service.log.read_text("utf-8")
    assert f"because it is version {version(ROOT)}, not 0.0.1" in said
