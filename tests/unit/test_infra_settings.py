"""The app settings that infra/modules/app.bicep makes, read by the app itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mosaic_core.config import LARGEST_BODY_BYTES, Settings
from mosaic_core.domain.errors import ConfigurationError
from mosaic_core.domain.lanes import RULES, Lane

ROOT = Path(__file__).resolve().parents[2]
GIVEN = {
    "identityClientId": "0a0a0a0a-1111-2222-3333-444444444444",
    "blobEndpoint": "https://account.blob.example/",
    "queueEndpoint": "https://account.queue.example/",
    "tableEndpoint": "https://account.table.example/",
    "serviceBusHost": "sb.servicebus.example",
    "eventHubsHost": "eh.servicebus.example",
    "ingestionQueueName": RULES[Lane.INGESTION].default_queue,
    "conversationQueueName": RULES[Lane.CONVERSATION].default_queue,
    "sweepQueueName": RULES[Lane.SWEEP].default_queue,
    "hubName": "runtime-telemetry-stream",
    "authIssuer": "https://login.example/tenant/v2.0",
    "authAudience": "0b0b0b0b-1111-2222-3333-444444444444",
    "authJwksUri": "https://login.example/tenant/keys",
    "component.properties.ConnectionString": "InstrumentationKey=k;IngestionEndpoint=https://in.example/",
}
"""What the template's expressions stand for."""

REQUIRED = (
    "ServiceBusConnection__fullyQualifiedNamespace",
    "EventHubsConnection__fullyQualifiedNamespace",
    "TablesConnection__endpoint",
    "BlobsConnection__endpoint",
    "Auth__Issuer",
    "Auth__Audience",
    "Auth__JwksUri",
)


def deployed() -> dict[str, str]:
    """The settings as the site has them; the platform's own name for it is one of them."""
    text = (ROOT / "infra" / "modules" / "app.bicep").read_text("utf-8")
    found = re.search(r"^var ownSettings = \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    lines = [line.strip() for line in found[1].splitlines() if not line.strip().startswith("//")]
    settings = {}
    for name, value in (line.split(": ", 1) for line in lines):
        if value.startswith("'"):
            settings[name] = re.sub(r"\$\{(\w+)\}", lambda match: GIVEN[match[1]], value.strip("'"))
        else:
            settings[name] = GIVEN[value]
    return {**settings, "WEBSITE_SITE_NAME": "func-test"}


def test_the_app_starts_with_what_the_template_sets() -> None:
    host_json = json.loads((ROOT / "host.json").read_text("utf-8"))
    settings = Settings.from_env(deployed(), host_json)

    for connection in (settings.service_bus, settings.event_hubs, settings.tables, settings.blobs):
        assert connection.uses_identity
        assert connection.client_id == GIVEN["identityClientId"]
    assert settings.queues == {lane: rules.default_queue for lane, rules in RULES.items()}
    assert not settings.create_tables
    assert not settings.drill_enabled


@pytest.mark.parametrize("name", REQUIRED)
def test_each_of_these_is_needed(name: str) -> None:
    settings = deployed()
    del settings[name]

    with pytest.raises(ConfigurationError, match=name.partition("__fully")[0].partition("__endpoint")[0]):
        Settings.from_env(settings)


def test_the_host_lets_the_largest_ingestion_through_and_little_more() -> None:
    limit = int(deployed()["FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"])
    assert LARGEST_BODY_BYTES < limit <= LARGEST_BODY_BYTES + 1024 * 1024


def test_telemetry_leaves_by_the_apps_identity() -> None:
    settings = deployed()
    told = dict(part.split("=", 1) for part in settings["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"].split(";"))
    assert told == {"ClientId": GIVEN["identityClientId"], "Authorization": "AAD"}  # an empty part would not split
    assert settings["PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY"] == "true"


def test_the_hosts_storage_is_reached_by_identity_alone() -> None:
    storage = {name for name in deployed() if name.startswith("AzureWebJobsStorage")}
    assert storage == {
        f"AzureWebJobsStorage__{part}"
        for part in ("blobServiceUri", "queueServiceUri", "tableServiceUri", "credential", "clientId")
    }


def test_what_the_template_sets_wins_over_what_a_person_adds() -> None:
    text = (ROOT / "infra" / "modules" / "app.bicep").read_text("utf-8")
    assert "properties: union(extraAppSettings, ownSettings)" in text
