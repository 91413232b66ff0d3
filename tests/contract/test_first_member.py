"""The guide's block for the first member, run as it is written against the emulated tables: ``az`` alone is a stand-in,
which stores what it is told by the types that it is told, as the real one does."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.data.tables import TableServiceClient

from mosaic_core.adapters.tables import ensure_tables, open_table_stores
from mosaic_core.adapters.tables.keys import encode
from mosaic_core.config import Connection
from mosaic_core.domain.errors import RequestError
from mosaic_core.domain.membership import Right
from mosaic_core.ports import Principal
from mosaic_core.services.callers import MembershipService
from mosaic_local.signing import SigningKey
from tests.support.azurite import Azurite, running_azurite
from tests.support.documents import blocks

SUBJECT = "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bb-_Q"
"""As Entra makes them."""

AZ = """#!{python}
import json, os, sys
words = sys.argv[1:]
with open(os.environ["CALLED"], "a") as called:
    called.write(json.dumps(words) + "\\n")
if words[:2] == ["account", "get-access-token"]:
    print(os.environ["TOKEN"])
elif words[:3] == ["storage", "entity", "insert"]:
    from azure.data.tables import EdmType, EntityProperty, TableClient
    table = words[words.index("--table-name") + 1]
    given = {{}}
    for word in words[words.index("--entity") + 1 :]:
        if word.startswith("--"):
            break
        name, _, value = word.partition("=")
        given[name] = value
    kinds = {{name.partition("@")[0]: given[name] for name in given if name.endswith("@odata.type")}}
    entity = {{
        name: EntityProperty(value, EdmType(kinds[name])) if name in kinds else value
        for name, value in given.items()
        if "@" not in name
    }}
    untyped = [name for name in entity if name not in kinds and name not in ("PartitionKey", "RowKey")]
    # the real one takes what looks like a number for a number
    assert all(str(entity[name]).isalpha() for name in untyped), untyped
    with TableClient.from_connection_string(os.environ["TABLES"], table) as client:
        client.create_entity(entity)
else:
    sys.exit(f"az: not known here: {{words}}")
"""


@pytest.fixture(scope="module")
def azurite() -> Iterator[Azurite]:
    with running_azurite() as it:
        yield it


async def test_the_row_of_the_guide_lets_its_person_in(azurite: Azurite, tmp_path: Path) -> None:
    connection = Connection(connection_string=azurite.tables.connection_string)
    await ensure_tables(connection)
    (block,) = [b for b in blocks("docs/deploy.md") if "az storage entity insert" in b.text]
    az = tmp_path / "az"
    az.write_text(AZ.format(python=sys.executable))
    az.chmod(az.stat().st_mode | stat.S_IXUSR)
    environ = {
        "PATH": os.pathsep.join([str(tmp_path), str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
        "CALLED": str(tmp_path / "called"),
        "TABLES": azurite.tables.connection_string,
        "TOKEN": SigningKey.of(tmp_path).mint("https://issuer.example", SUBJECT, audience="audience"),
        "MOSAIC_AUTH_AUDIENCE": "audience",
        "AZURE_STORAGE_ACCOUNT_NAME": "account",
    }
    ran = await asyncio.to_thread(
        subprocess.run, ["bash", "-euc", block.text], env=environ, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr

    called = [json.loads(line) for line in (tmp_path / "called").read_text().splitlines()]
    assert "audience/.default" in called[0]
    assert {"--auth-mode", "login", "--if-exists", "fail"} <= set(called[1])  # by identity, over nobody's row
    with TableServiceClient.from_connection_string(azurite.tables.connection_string) as service:
        (row,) = service.get_table_client("HouseholdMembers").list_entities()
    assert row["PartitionKey"] == encode(SUBJECT)
    assert row["RowKey"] == encode(row["HouseholdUserId"])
    stores = open_table_stores(connection, Connection(connection_string=azurite.blobs.connection_string))
    try:
        members = MembershipService(stores.stores.members)
        caller = await members.caller(Principal(SUBJECT, frozenset()), Right.DECIDE)
        assert (caller.household_id, caller.household_user_id) == (row["HouseholdId"], row["HouseholdUserId"])
        with pytest.raises(RequestError, match="no active member"):
            await members.caller(Principal("somebody-else", frozenset()), Right.READ)
    finally:
        await stores.close()
