"""The app in the platform's start order, with the worker library that it pins and with the platform's own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.azurite import Azurite
from tests.support.worker_order import PLATFORM_LIBRARY, WORKER_PACKAGES, deployed, install, packages_of, run, without
from tests.unit.test_config import MINIMAL, ROOT

pytestmark = pytest.mark.slow

PINNED_LIBRARY = "1.3.0"
FUNCTIONS = len(json.loads((ROOT / "docs/reference/functions.json").read_text()))
SETTINGS = {
    **MINIMAL,
    "FUNCTIONS_WORKER_RUNTIME": "python",
    "ServiceBusConnection": MINIMAL["ServiceBusConnection"].replace("localhost:5672", "127.0.0.1:9"),
    "WEBSITE_SITE_NAME": "func-x",
    "WEBSITE_AUTH_ENABLED": "False",
    "WEBSITE_PLACEHOLDER_MODE": "0",
    "APPSETTING_Auth__Issuer": "https://issuer.example",
}


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("worker") / "python" / "3.13" / "LINUX" / "X64", *WORKER_PACKAGES)


@pytest.fixture(scope="module")
def pinned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return deployed(tmp_path_factory.mktemp("pinned") / "wwwroot")


@pytest.fixture(scope="module")
def unpinned(pinned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same app, as it would be with the worker library left out of its requirements."""
    root = tmp_path_factory.mktemp("unpinned") / "wwwroot"
    shutil.copytree(pinned, root)
    without(packages_of(root), "azure_functions_runtime")
    return root


@pytest.fixture
def app(request: pytest.FixtureRequest) -> tuple[Path, str]:
    """The app, and the library that it has to run on."""
    library = PINNED_LIBRARY if request.param == "pinned" else PLATFORM_LIBRARY
    return request.getfixturevalue(request.param), library


both = pytest.mark.parametrize("app", ["pinned", "unpinned"], indirect=True)
starts = pytest.mark.parametrize("placeholder", [True, False], ids=["placeholder", "direct"])


def versions(root: Path) -> dict[str, str]:
    lines = (root / "requirements.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line.count("==") == 1)


@both
@starts
async def test_everything_is_indexed_and_messages_are_settled(
    app: tuple[Path, str], worker: Path, placeholder: bool, azurite: Azurite
) -> None:
    root, library = app
    storage = {"TablesConnection": azurite.tables.connection_string, "BlobsConnection": azurite.blobs.connection_string}
    invoke = ["health_live", "ingestion_lane", "sweep_lane", "conversation_lane", "health_live"]
    ended = await run(root, worker, {**SETTINGS, **storage}, placeholder=placeholder, invoke=invoke)
    assert ended.code == 0, ended.stderr[-3000:]
    told = ended.told
    assert told["library"] == library
    assert len(told["functions"]) == FUNCTIONS
    assert [(name, succeeded) for name, succeeded, _ in told["told"]] == [(name, True) for name in invoke]
    assert all(said.startswith("200 ") for name, _, said in told["told"] if name == "health_live")
    assert [(operation, texts[1]) for operation, texts in ended.settled] == [("Deadletter", "invalid_json")] * 3
    # the worker's own come first and are forgotten; what the app runs on is what the app ships
    assert told["own"][0].startswith("1.70.")
    assert (told["grpc"], told["protobuf"]) == (versions(root)["grpcio"], versions(root)["protobuf"])


@both
@starts
async def test_an_app_that_cannot_be_built_answers_by_its_health_functions(
    app: tuple[Path, str], worker: Path, placeholder: bool
) -> None:
    root, library = app
    ended = await run(
        root,
        worker,
        {**SETTINGS, "Lease__Seconds": "soon"},
        placeholder=placeholder,
        invoke=["health_live", "health_ready"],
    )
    assert (ended.code, ended.told["library"]) == (0, library), ended.stderr[-3000:]
    assert ended.told["functions"] == ["health_live", "health_ready"]
    for _, succeeded, said in ended.told["told"]:
        status, _, body = said.partition(" ")
        assert (succeeded, status) == (True, "503")
        assert _names(body) == ["Lease__Seconds"]
    assert "the app does not start: Lease__Seconds" in ended.stderr


@starts
async def test_why_protobuf_ships_with_the_app(
    pinned: Path, worker: Path, placeholder: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Without its own, whatever the app imports of protobuf is the worker's, a second time: the messages that the
    worker had are none any more. (The real worker, with more of them, dies of a segmentation fault.)"""
    root = tmp_path_factory.mktemp("bare") / "wwwroot"
    shutil.copytree(pinned, root)
    without(packages_of(root), "google/protobuf", "google/_upb")
    ended = await run(root, worker, SETTINGS, placeholder=placeholder)
    assert ended.code != 0
    assert ended.told == {}
    assert "Expected a message object" in ended.stderr or ended.code < 0


async def test_why_one_setting_is_refused(pinned: Path, unpinned: Path, worker: Path) -> None:
    """With the platform's own library every invocation fails under it; with the pinned one health names it."""
    settings = {**SETTINGS, "PYTHON_ENABLE_OPENTELEMETRY": "true"}
    fails = await run(unpinned, worker, settings, placeholder=True, invoke=["health_ready"])
    [(_, succeeded, said)] = fails.told["told"]
    assert not succeeded
    assert "extract" in said
    names = await run(pinned, worker, settings, placeholder=True, invoke=["health_ready"])
    [(_, succeeded, said)] = names.told["told"]
    assert succeeded
    assert _names(said.partition(" ")[2]) == ["PYTHON_ENABLE_OPENTELEMETRY"]


MODEL = {
    "Agent__Provider": "openai",
    "Agent__Endpoint": "https://model.example/v1",
    "Agent__Model": "m",
    "Agent__ApiKey": "k",
}


async def test_a_model_needs_the_package_that_has_its_clients(
    pinned: Path, worker: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """requirements.txt has none; with requirements-model.txt besides everything is there."""
    without_model = await run(pinned, worker, SETTINGS | MODEL, placeholder=True, invoke=["health_ready"])
    assert without_model.told["functions"] == ["health_live", "health_ready"]
    [(_, succeeded, said)] = without_model.told["told"]
    assert (succeeded, _names(said.partition(" ")[2])) == (True, ["Agent__Provider"])
    assert "requirements-model.txt" in without_model.stderr
    root = tmp_path_factory.mktemp("model") / "wwwroot"
    shutil.copytree(pinned, root)
    install(packages_of(root), "--requirements", "requirements-model.txt")
    with_model = await run(root, worker, SETTINGS | MODEL, placeholder=True, invoke=["health_live"])
    assert len(with_model.told["functions"]) == FUNCTIONS, with_model.stderr[-3000:]


def _names(body: str) -> list[Any]:
    return [dependency["name"] for dependency in json.loads(body)["dependencies"]]
