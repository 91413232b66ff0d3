"""What a machine of a developer's needs besides the embedded stack: sample settings, the official emulators' files, the
editor's files, `test.http`. None of it is run by the project's tests; all that can be told from the files is held."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from mosaic_core.config import QUEUE_SETTINGS, Settings, check_host_json
from mosaic_core.domain.lanes import MAX_DELIVERIES, RULES
from mosaic_core.entrypoints import console
from mosaic_core.entrypoints.http.routes import ROUTES
from mosaic_local import stack
from mosaic_local.beside import LocalSettings
from mosaic_local.errors import LocalSettingsError
from mosaic_local.host.routes import RouteTemplate
from mosaic_local.signing import AUDIENCE
from mosaic_ops.checks.sources import tracked_files
from tests.support.documents import ROOT, read
from tests.support.http_file import fill, parse, uses

COMPOSE: dict[str, Any] = yaml.safe_load(read("emulators/compose.yaml"))
SAMPLE: dict[str, str] = json.loads(read("local.settings.sample.json"))["Values"]


# ---------------------------------------------------------------------------------------------------- sample settings


def test_the_app_starts_on_the_sample_settings() -> None:
    settings = Settings.from_env(SAMPLE)
    assert check_host_json(settings, json.loads(read("host.json"))) == []
    assert settings.create_tables  # nobody else makes them there
    assert not settings.drill_enabled


def test_the_sample_names_no_setting_that_nobody_reads() -> None:
    """A name that the app does not know, in no group that it knows, would be taken for another program's."""
    described = set(re.findall(r"^\| `(\w+)` \|", read("docs/reference/settings.md"), re.MULTILINE))
    of_the_host = {"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage"}
    assert set(SAMPLE) - of_the_host <= described
    assert of_the_host <= set(SAMPLE)


def test_the_sample_says_what_the_embedded_stack_tells_its_own_app() -> None:
    assert SAMPLE["FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"] == str(stack.REQUEST_BODY_BYTES)
    assert SAMPLE["TelemetryHub"] == stack.TELEMETRY_HUB
    assert SAMPLE["Auth__Audience"] == AUDIENCE
    assert {SAMPLE[setting] for setting in QUEUE_SETTINGS.values()} == {rules.default_queue for rules in RULES.values()}


def test_the_sample_goes_to_the_emulators_ports() -> None:
    published = {
        port.rsplit(":", 2)[1]: service
        for service, parts in COMPOSE["services"].items()
        for port in parts.get("ports", [])
    }
    for setting, service in (("ServiceBusConnection", "servicebus"), ("EventHubsConnection", "eventhubs")):
        port = re.search(r"Endpoint=sb://localhost:(\d+);", SAMPLE[setting])
        assert port is not None
        assert published[port[1]] == service
    # UseDevelopmentStorage=true is these three
    assert {"10000", "10001", "10002"} <= {port for port, service in published.items() if service == "azurite"}


def test_the_issuer_beside_the_host_understands_the_sample() -> None:
    local = LocalSettings.read(ROOT / "local.settings.sample.json")
    assert (local.issuer, local.audience, local.port) == (
        SAMPLE["Auth__Issuer"],
        SAMPLE["Auth__Audience"],
        7072,
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Auth__Issuer": "https://login.example"}, "Auth__Issuer is not"),
        ({"Auth__Issuer": "http://127.0.0.1"}, "Auth__Issuer is not"),
        ({"Auth__Issuer": "http://127.0.0.1.evil.example:1"}, "Auth__Issuer is not"),
        ({"Auth__Issuer": "http://127.0.0.1:port"}, "Auth__Issuer is not"),
        ({"Auth__JwksUri": "http://127.0.0.1:7072/keys"}, "Auth__JwksUri is not"),
        ({"Auth__Audience": ""}, "Auth__Audience is missing"),
        ({"TablesConnection": None}, "TablesConnection is missing"),
        ({"TablesConnection": "AccountName=example;AccountKey=a2V5"}, "TablesConnection is not Azurite"),
        ({"BlobsConnection": "BlobEndpoint=https://blobs.example/;AccountName=x"}, "BlobsConnection is not Azurite"),
    ],
)
def test_sample_members_go_to_no_other_machine(tmp_path: Any, change: dict[str, str | None], said: str) -> None:
    values = {name: value for name, value in {**SAMPLE, **change}.items() if value is not None}
    file = tmp_path / "local.settings.json"
    file.write_text(json.dumps({"Values": values}))
    with pytest.raises(LocalSettingsError, match=said):
        LocalSettings.read(file)


def test_no_settings_are_one_line(tmp_path: Any) -> None:
    for text in (None, "no JSON", "[]", '{"Values": []}'):
        file = tmp_path / "local.settings.json"
        if text is not None:
            file.write_text(text)
        with pytest.raises(LocalSettingsError) as told:
            LocalSettings.read(file)
        assert "\n" not in str(told.value)


# --------------------------------------------------------------------------------------------------------- emulators


def seconds(duration: str) -> int:
    """Of PT1H30M5S or P14D."""
    found = re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", duration)
    assert found is not None, duration
    days, hours, minutes, rest = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest


def test_the_service_bus_emulator_has_the_contract_s_queues() -> None:
    config = json.loads(read("emulators/servicebus.json"))["UserConfig"]
    (namespace,) = config["Namespaces"]
    assert (namespace["Name"], namespace["Topics"]) == ("sbemulatorns", [])  # the only name that it takes
    assert {queue["Name"] for queue in namespace["Queues"]} == {rules.default_queue for rules in RULES.values()}
    for queue in namespace["Queues"]:
        properties = queue["Properties"]
        assert seconds(properties.pop("LockDuration")) == stack.StackOptions().lock_seconds
        # an hour is the most that the emulator takes; a deployment has two weeks
        assert seconds(properties.pop("DefaultMessageTimeToLive")) == min(3600, stack.QUEUE_TTL_SECONDS)
        assert properties == {
            "MaxDeliveryCount": MAX_DELIVERIES,
            "DeadLetteringOnMessageExpiration": True,
            "RequiresDuplicateDetection": False,
            "RequiresSession": False,
        }


def test_the_event_hubs_emulator_has_the_contract_s_hub() -> None:
    (namespace,) = json.loads(read("emulators/eventhubs.json"))["UserConfig"]["NamespaceConfig"]
    assert (namespace["Type"], namespace["Name"]) == ("EventHub", "emulatorNs1")  # the only name that it takes
    assert namespace["Entities"] == [
        {
            "Name": stack.TELEMETRY_HUB,
            "PartitionCount": stack.HUB_PARTITIONS,
            "ConsumerGroups": [{"Name": stack.CONSUMER_GROUP}],
        }
    ]


def test_the_emulators_are_pinned_local_and_without_a_password() -> None:
    for name, service in COMPOSE["services"].items():
        assert re.search(r":\d[\w.-]+$", service["image"]), f"{name}: no exact version"
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        for variable, value in service.get("environment", {}).items():
            assert not re.search("PASSWORD|EULA", variable) or re.fullmatch(r"\$\{\w+:\?.*\}", value), variable
        for source in service.get("volumes", []):
            file = source.split(":")[0]
            assert not file.startswith(".") or (ROOT / "emulators" / file).is_file(), source
    asked = set(re.findall(r"\$\{(\w+):\?", read("emulators/compose.yaml")))
    sample = dict(line.split("=", 1) for line in read("emulators/sample.env").splitlines() if not line.startswith("#"))
    assert sample == dict.fromkeys(asked, "")


def test_the_emulated_azurite_is_the_embedded_stack_s() -> None:
    version = json.loads(read("package.json"))["dependencies"]["azurite"]
    assert COMPOSE["services"]["azurite"]["image"].endswith(f":{version}")


# ------------------------------------------------------------------------------------------------------------ editor


def test_the_editor_s_files_are_kept_and_secrets_are_not() -> None:
    paths = {file.path for file in tracked_files(ROOT)}
    assert {f".vscode/{name}.json" for name in ("extensions", "launch", "settings", "tasks")} <= paths
    assert {".devcontainer/devcontainer.json", "test.http", "emulators/sample.env"} <= paths
    assert not any(path.rsplit("/", 1)[-1] == ".env" for path in paths)


def test_every_task_that_is_named_is_there() -> None:
    tasks = json.loads(read(".vscode/tasks.json"))["tasks"]
    labels = {task["label"] for task in tasks}
    launched = json.loads(read(".vscode/launch.json"))["configurations"]
    named = {launch["preLaunchTask"] for launch in launched if "preLaunchTask" in launch}
    assert named | {needed for task in tasks for needed in task.get("dependsOn", [])} <= labels


def test_the_container_and_the_editor_recommend_the_same() -> None:
    container = json.loads(read(".devcontainer/devcontainer.json"))
    recommended = json.loads(read(".vscode/extensions.json"))["recommendations"]
    assert container["customizations"]["vscode"]["extensions"] == recommended
    assert "python:1-3.13" in container["image"]
    needed = json.loads(read("package.json"))["engines"]["node"].removeprefix(">=")
    (node,) = (options for feature, options in container["features"].items() if "/node:" in feature)
    assert node["version"] == needed


# --------------------------------------------------------------------------------------------------------- test.http


def test_every_route_is_in_the_file_and_nothing_else() -> None:
    """The routes of the document that the API serves; each with a request that is answered well."""
    document = json.loads(read("docs/reference/openapi.json"))
    routes = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert routes == {(route.method, f"/api/{route.route}") for route in ROUTES}
    routes |= {("GET", f"/api/{route}") for route in console.ROUTES.values()}  # a page, and no part of the API
    written = parse()
    names = {request.name for request in written.requests if request.name}
    answered: set[tuple[str, str]] = set()
    for request in written.requests:
        # what a named request's answer holds stands for the route that it leads to
        url = re.sub(r"\{\{ingestion\.response\.headers\.Location\}\}", "/api/v1/agent/runs/" + "a" * 32, request.url)
        url = re.sub(r"\{\{(approvals|ingestion|signals|replay)\.response\.body\.[^}]*\}\}", "b" * 32, url)
        path = fill(url, written.variables, {}).partition("?")[0].removeprefix(written.variables["host"])
        matching = [
            r for r in routes if r[0] == request.method and RouteTemplate.parse(r[1][1:]).match(path) is not None
        ]
        assert len(matching) == 1, request.title
        # whether a command still waits is a race that a file cannot win: that it has ended is the answer to expect
        if request.expected < 300 or request.url.endswith("/cancel"):
            answered.add(matching[0])
        assert set(uses(request)) <= set(written.variables) | names, request.title
    assert answered == routes


def test_a_request_uses_answers_of_those_before_it() -> None:
    seen: set[str] = set()
    written = parse()
    for request in written.requests:
        assert set(uses(request)) <= set(written.variables) | seen, request.title
        seen.add(request.name)
    tokens = {value for value in written.variables.values() if "dotenv" in value}
    assert {re.sub(r"\W|dotenv", "", token) for token in tokens} == set(
        re.findall(r"([A-Z]+)=%s", read("test.http").split("@host")[0])
    )
