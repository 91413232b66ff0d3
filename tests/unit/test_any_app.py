"""A function app that is not the product's, as the embedded stack reads it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mosaic_local import azurite
from mosaic_local.anyapp import AnyApp, emulated
from mosaic_local.application import Places
from mosaic_local.broker.config import EventHubConfig, QueueConfig
from mosaic_local.errors import DeclarationError, LocalSettingsError

ROOT = Path(__file__).resolve().parents[2]
PLACES = Places(
    state_dir=Path("state"),
    app=Path("app"),
    messaging="Endpoint=sb://localhost:1;UseDevelopmentEmulator=true;",
    administration="Endpoint=sb://localhost:2;UseDevelopmentEmulator=true;",
    storage="BlobEndpoint=http://127.0.0.1:3/;TableEndpoint=http://127.0.0.1:4/;",
    tables="TableEndpoint=http://127.0.0.1:4/;",
    blobs="BlobEndpoint=http://127.0.0.1:3/;",
    api_base_url="http://127.0.0.1:5",
    issuer="http://127.0.0.1:6",
    audience="api://app",
    jwks_uri="http://127.0.0.1:6/jwks",
)


def app_folder(folder: Path, settings: object = None) -> Path:
    (folder / "host.json").write_text('{"version": "2.0"}')
    if settings is not None:
        text = settings if isinstance(settings, str) else json.dumps(settings)
        (folder / "local.settings.json").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("value", "here"),
    [
        ("Endpoint=sb://localhost;UseDevelopmentEmulator=true;", PLACES.messaging),
        ("endpoint=sb://localhost;usedevelopmentemulator=True", PLACES.messaging),
        ("Endpoint=sb://h;UseDevelopmentEmulator=true;EntityPath=readings", PLACES.messaging + "EntityPath=readings;"),
        ("UseDevelopmentStorage=true", PLACES.storage),
        ("AccountName=devstoreaccount1;AccountKey=abc==;TableEndpoint=http://127.0.0.1:10002/", PLACES.storage),
        ("Endpoint=sb://example.servicebus.windows.net/", None),
        ("a=b;c", None),
        ("", None),
    ],
)
def test_an_emulator_s_address_becomes_the_stack_s_and_nothing_else_does(
    tmp_path: Path, value: str, here: str | None
) -> None:
    app = AnyApp.read(app_folder(tmp_path, {"Values": {"Setting": value}}))
    assert app.settings(PLACES)["Setting"] == (value if here is None else here)


def test_the_host_s_storage_is_the_stack_s_unless_the_app_says_otherwise(tmp_path: Path) -> None:
    assert AnyApp.read(app_folder(tmp_path)).settings(PLACES)["AzureWebJobsStorage"] == PLACES.storage
    own = AnyApp.read(app_folder(tmp_path, {"Values": {"AzureWebJobsStorage": "own"}}))
    assert own.settings(PLACES)["AzureWebJobsStorage"] == "own"


def test_an_app_finds_what_the_core_tools_set(tmp_path: Path) -> None:
    settings = AnyApp.read(app_folder(tmp_path)).settings(PLACES)
    assert settings["WEBSITE_HOSTNAME"] == "127.0.0.1:5"
    assert settings["AzureWebJobsScriptRoot"] == "app"
    own = AnyApp.read(app_folder(tmp_path, {"Values": {"WEBSITE_HOSTNAME": "shop.example"}}))
    assert own.settings(PLACES)["WEBSITE_HOSTNAME"] == "shop.example"


def test_a_variable_of_the_environment_counts_instead_of_the_file_s(tmp_path: Path) -> None:
    folder = app_folder(tmp_path, {"Values": {"Shop": "corner", "Bus": "UseDevelopmentEmulator=true", "Till": "1"}})
    environment = {"Shop": "station", "Bus": "Endpoint=sb://other/", "Elsewhere": "x"}
    app = AnyApp.read(folder, environment=environment)
    assert app.values == {"Shop": "station", "Bus": "Endpoint=sb://other/", "Till": "1"}
    assert app.overridden == ("Shop", "Bus")
    assert AnyApp.read(folder).overridden == ()


def test_the_port_is_that_of_func_start(tmp_path: Path) -> None:
    assert AnyApp.read(app_folder(tmp_path)).http_port == 7071
    assert AnyApp.read(app_folder(tmp_path, {"Host": {"LocalHttpPort": 7099}})).http_port == 7099
    for wrong in ("http", 0, 70_000, -1):
        with pytest.raises(LocalSettingsError, match="LocalHttpPort"):
            AnyApp.read(app_folder(tmp_path, {"Host": {"LocalHttpPort": wrong}}))


def test_origins_are_those_of_local_settings(tmp_path: Path) -> None:
    app = AnyApp.read(app_folder(tmp_path, {"Host": {"CORS": "https://a,https://b", "CORSCredentials": True}}))
    assert (app.cors, app.cors_credentials) == ("https://a,https://b", True)


@pytest.mark.parametrize(
    "settings", ["no JSON", "[]", {"Values": []}, {"Host": "x"}, {"IsEncrypted": True, "Values": {}}]
)
def test_settings_that_cannot_be_used_are_one_line(tmp_path: Path, settings: object) -> None:
    with pytest.raises(LocalSettingsError) as told:
        AnyApp.read(app_folder(tmp_path, settings))
    assert str(tmp_path) in str(told.value)
    assert "\n" not in str(told.value)


def test_settings_are_read_as_the_core_tools_read_them(tmp_path: Path) -> None:
    text = """{ // for this machine
      "Values": {"Yes": true, "Many": 5, "Exact": 1.50, "Address": "http://x//y", "Unset": null,},
      "ConnectionStrings": {"Sql": "a=b", "Other": {"ConnectionString": "c=d", "ProviderName": "e"}},
      "Host": {"LocalHttpPort": 7099, "CORSCredentials": true},
    }"""
    app = AnyApp.read(app_folder(tmp_path, text))
    assert app.values == {
        "Yes": "true",
        "Many": "5",
        "Exact": "1.50",
        "Address": "http://x//y",
        "ConnectionStrings:Sql": "a=b",
        "ConnectionStrings:Other": "c=d",
    }
    assert (app.http_port, app.cors_credentials) == (7099, True)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"Shop": {"name": "corner"}}, r"Shop is no text.*Shop__part"),
        ({"Shops": ["corner"]}, "Shops is no text"),
        ({"FUNCTIONS_WORKER_RUNTIME": "node"}, "'node': only python"),
    ],
)
def test_settings_that_no_app_can_have_are_told_by_name(tmp_path: Path, values: object, told: str) -> None:
    with pytest.raises(LocalSettingsError, match=told):
        AnyApp.read(app_folder(tmp_path, {"Values": values}))


def test_a_folder_without_an_app_is_told(tmp_path: Path) -> None:
    with pytest.raises(LocalSettingsError, match=r"host\.json is missing"):
        AnyApp.read(tmp_path)


def test_storage_that_the_stack_has_not_is_told_by_the_setting(tmp_path: Path) -> None:
    app = AnyApp.read(app_folder(tmp_path, {"Values": {"Photos": "UseDevelopmentStorage=true"}}))
    with pytest.raises(LocalSettingsError, match=r"Photos names storage.*--no-storage"):
        app.settings(replace(PLACES, storage=""))


# -------------------------------------------------------------------------------------------------- declarations


def test_the_emulators_files_of_this_project_declare_what_they_say() -> None:
    queues = [each for each in emulated(ROOT / "emulators/servicebus.json") if isinstance(each, QueueConfig)]
    assert [(queue.lock_seconds, queue.max_delivery_count, queue.ttl_seconds) for queue in queues] == [
        (60, 10, 3600)
    ] * 3
    (hub,) = emulated(ROOT / "emulators/eventhubs.json")
    assert hub == EventHubConfig(
        name="runtime-telemetry-stream", partitions=4, consumer_groups=["mosaic-money-runtime"]
    )


def test_the_last_declaration_of_a_name_counts(tmp_path: Path) -> None:
    app = AnyApp.read(app_folder(tmp_path), ["Orders", QueueConfig(name="orders", max_delivery_count=3)])
    assert app.queues({}) == (QueueConfig(name="orders", max_delivery_count=3),)


def _emulator(**namespace: Any) -> dict[str, Any]:
    return {"UserConfig": {"Namespaces": [{"Name": "sbemulatorns", **namespace}]}}


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({}, "UserConfig"),
        (_emulator(Topics=[{"Name": "news"}]), "news.*no topics"),
        (_emulator(Queues=[{"Name": "q", "Properties": {"RequiresSession": True}}]), "sessions"),
        (_emulator(Queues=[{"Name": "q", "Properties": {"LockDuration": "soon"}}]), "LockDuration"),
        (_emulator(Queues=[{"Name": "no name"}]), "name"),
    ],
)
def test_a_wrong_file_of_an_emulator_is_one_line(tmp_path: Path, config: object, told: str) -> None:
    file = tmp_path / "Config.json"
    file.write_text(json.dumps(config))
    with pytest.raises(DeclarationError, match=told) as error:
        emulated(file)
    assert "\n" not in str(error.value)


def test_a_name_that_no_queue_can_have_is_told(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="'a b' is no name"):
        AnyApp.read(app_folder(tmp_path), ["a b"])


def test_azurite_is_the_same_one_wherever_it_is_installed_from() -> None:
    assert json.loads((ROOT / "package.json").read_text())["dependencies"]["azurite"] == azurite.VERSION
