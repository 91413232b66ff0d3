"""Settings: read as a whole, all faults at once, no secret shown."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import pytest

from mosaic_core.bootstrap import Container
from mosaic_core.config import FORBIDDEN_ON_FLEX, REFUSED_AT_START, VERSION, Build, Settings, check_host_json
from mosaic_core.domain.errors import ConfigurationError, Fault
from mosaic_core.domain.lanes import WAIT_SECONDS, WAITERS, Lane
from mosaic_core.services.limits import DeliveryLimits

ROOT = Path(__file__).resolve().parents[2]
KEY = "c2VjcmV0LWtleS1vZi10aGUtdGVzdA=="
BUS = f"Endpoint=sb://localhost:5672;SharedAccessKeyName=all;SharedAccessKey={KEY};UseDevelopmentEmulator=true;"
STORAGE = f"DefaultEndpointsProtocol=http;AccountName=dev;AccountKey={KEY};TableEndpoint=http://127.0.0.1:1/dev;"
MINIMAL = {
    "ServiceBusConnection": BUS,
    "EventHubsConnection": BUS,
    "TablesConnection": STORAGE,
    "BlobsConnection": STORAGE,
    "Auth__Issuer": "https://issuer.example",
    "Auth__Audience": "api://mosaic-runtime",
    "Auth__JwksUri": "http://127.0.0.1:5000/jwks",
}


def recorded_names() -> set[str]:
    """Every setting that is read at start."""
    read: set[str] = set()

    class Environment(dict[str, str]):
        def get(self, name: str, default: Any = None) -> Any:
            read.add(name)
            return super().get(name, default)

    Settings.from_env(Environment(MINIMAL))
    return read


def faults(changes: Mapping[str, str | None]) -> tuple[str, ...]:
    env = {name: value for name, value in {**MINIMAL, **changes}.items() if value is not None}
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env(env)
    return caught.value.faults


def test_the_defaults_are_the_contract_s() -> None:
    settings = Settings.from_env(MINIMAL)
    assert settings.queues == {
        Lane.INGESTION: "runtime-ingestion-completed",
        Lane.CONVERSATION: "runtime-agent-message-posted",
        Lane.SWEEP: "runtime-nightly-anomaly-sweep",
    }
    assert settings.telemetry_hub == "runtime-telemetry-stream"
    assert settings.lane_concurrency == {Lane.INGESTION: 16, Lane.CONVERSATION: 16, Lane.SWEEP: 1}
    assert (settings.lease_seconds, settings.lease_renew_seconds, settings.lane_deadline_seconds) == (30, 10, 240)
    assert settings.retry_seconds == (1.0, 5.0, 30.0, 120.0)
    assert (settings.sweep_hour_utc, settings.sweep_lookback_days, settings.sweep_catch_up_nights) == (2, 180, 7)
    assert (settings.approval_expiry_hours, settings.review_category_confidence) == (72, 0.6)
    assert not settings.drill_enabled
    assert not settings.create_tables
    assert not settings.auth.platform_authentication


def test_every_setting_is_read() -> None:
    settings = Settings.from_env(
        {
            **MINIMAL,
            "IngestionQueue": "a",
            "ConversationQueue": "b",
            "SweepQueue": "c",
            "TelemetryHub": "hub",
            "WEBSITE_AUTH_ENABLED": "True",
            "Lease__Seconds": "9",
            "Lease__RenewSeconds": "2",
            "Lane__DeadlineSeconds": "60",
            "Lane__SweepConcurrency": "2",
            "Lane__IngestionConcurrency": "3",
            "Lane__ConversationConcurrency": "4",
            "Retry__Seconds": "0, 0.5,1,2",
            "Sweep__HourUtc": "0",
            "Sweep__LookbackDays": "730",
            "Sweep__CatchUpNights": "3",
            "Sweep__Schedule": "0 * * * * *",
            "Outbox__Schedule": "0 */2 * * * *",
            "Reconcile__Schedule": "0 */2 * * * *",
            "Reconcile__StuckAfter": "2.00:00:00",
            "Retention__Schedule": "0 0 * * * *",
            "Retention__KeyDays": "8",
            "Retention__CommandDays": "40",
            "Retention__SignalDays": "800",
            "Retention__ConversationDays": "50",
            "Retention__BlobDays": "70",
            "Approval__ExpiryHours": "1",
            "Review__CategoryConfidence": "0.75",
            "Drill__Enabled": "TRUE",
            "Stores__CreateTables": "1",
        }
    )
    assert settings.queues == {Lane.INGESTION: "a", Lane.CONVERSATION: "b", Lane.SWEEP: "c"}
    assert settings.lane_concurrency == {Lane.SWEEP: 2, Lane.INGESTION: 3, Lane.CONVERSATION: 4}
    assert settings.retry_seconds == (0.0, 0.5, 1.0, 2.0)
    assert settings.auth.platform_authentication
    assert settings.drill_enabled
    assert settings.create_tables
    assert (settings.lease_seconds, settings.lease_renew_seconds) == (9, 2)
    assert (settings.sweep_hour_utc, settings.sweep_lookback_days, settings.sweep_catch_up_nights) == (0, 730, 3)
    assert (settings.approval_expiry_hours, settings.review_category_confidence) == (1, 0.75)
    assert (settings.telemetry_hub, settings.lane_deadline_seconds) == ("hub", 60)
    assert settings.reconcile_stuck_after_seconds == 2 * 86_400
    assert (settings.retention_key_days, settings.retention_command_days) == (8, 40)
    assert (settings.retention_signal_days, settings.retention_conversation_days) == (800, 50)
    assert settings.retention_blob_days == 70


@pytest.mark.parametrize(
    ("changes", "name", "least"),
    [
        ({"Retention__CommandDays": "30", "Reconcile__StuckAfter": "29.00:00:00"}, "Retention__CommandDays", 36),
        ({"Retention__SignalDays": "200"}, "Retention__SignalDays", 211),
        ({"Retention__ConversationDays": "60", "Approval__ExpiryHours": "8760"}, "Retention__ConversationDays", 395),
        ({"Retention__BlobDays": "100"}, "Retention__BlobDays", 120),
    ],
)
def test_what_something_builds_on_is_kept_as_long(changes: dict[str, str | None], name: str, least: int) -> None:
    [fault] = faults(changes)
    assert fault.startswith(f"{name} is ")
    assert f"set it to {least} at least" in fault
    Settings.from_env({**MINIMAL, **{n: v for n, v in changes.items() if v}, name: str(least)})
    Settings.from_env({**MINIMAL, **{n: v for n, v in changes.items() if v}, name: "0"})


def test_ages_that_nobody_set_give_way_to_what_was_set() -> None:
    settings = Settings.from_env({**MINIMAL, "Sweep__LookbackDays": "730", "Reconcile__StuckAfter": "100.00:00:00"})
    assert (settings.retention_signal_days, settings.retention_command_days) == (761, 107)
    assert settings.retention_blob_days == 400


@pytest.mark.parametrize("span", ["", "12", "00:00:10", "-1", "00:12:30", "x"])
def test_what_is_stuck_is_no_sooner_than_any_delivery_could_be_at_work(span: str) -> None:
    if not span:
        assert Settings.from_env(MINIMAL).reconcile_stuck_after_seconds == (14 * 24 + 1) * 3600
        return
    [fault] = faults({"Reconcile__StuckAfter": span})
    assert "Reconcile__StuckAfter is no time span" in fault
    assert Settings.from_env({**MINIMAL, "Reconcile__StuckAfter": "00:12:31"}).reconcile_stuck_after_seconds == 751


def test_a_deployment_without_drills_is_none_of_our_business() -> None:
    for drill in ({}, {"Drill__Enabled": "false"}):
        assert not Settings.from_env({**MINIMAL, "WEBSITE_SITE_NAME": "mosaic-prod", **drill}).drill_enabled


def test_identity_instead_of_a_connection_string() -> None:
    changes: dict[str, str | None] = {
        "ServiceBusConnection": None,
        "ServiceBusConnection__fullyQualifiedNamespace": "bus.example",
        "ServiceBusConnection__clientId": "11111111-1111-1111-1111-111111111111",
        "ServiceBusConnection__credential": "managedidentity",
        "TablesConnection": None,
        "TablesConnection__endpoint": "https://tables.example",
    }
    env = {name: value for name, value in {**MINIMAL, **changes}.items() if value is not None}
    settings = Settings.from_env(env)
    assert settings.service_bus.uses_identity
    assert settings.service_bus.endpoint == "bus.example"
    assert settings.service_bus.client_id == "11111111-1111-1111-1111-111111111111"
    assert settings.tables.endpoint == "https://tables.example"
    assert not settings.blobs.uses_identity


def test_an_empty_environment_names_everything_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env({})
    named = [fault.split()[0] for fault in caught.value.faults]
    assert named == list(MINIMAL)
    assert all("missing" in fault and "set it to" in fault for fault in caught.value.faults)
    assert str(caught.value).count("\n  - ") == len(MINIMAL)


@pytest.mark.parametrize(
    ("changes", "named", "said"),
    [
        ({"ServiceBusConnection__fullyQualifiedNamespace": "bus.example"}, "ServiceBusConnection", "not both"),
        ({"TablesConnection__endpoint": "https://t.example"}, "TablesConnection", "not both"),
        ({"BlobsConnection__clientId": "x"}, "BlobsConnection", "not both"),
        ({"EventHubsConnection": "Endpoint=http://x"}, "EventHubsConnection", "sb://"),
        ({"EventHubsConnection": "Endpoint=sb://x"}, "EventHubsConnection", "no key"),
        ({"ServiceBusConnection": BUS + "EntityPath=q"}, "ServiceBusConnection", "one entity"),
        ({"TablesConnection": "nonsense"}, "TablesConnection", "no account"),
        ({"TablesConnection": None, "TablesConnection__endpoint": "http://t.example"}, "TablesConnection__", "https"),
        (
            {"ServiceBusConnection": None, "ServiceBusConnection__fullyQualifiedNamespace": "sb://x/"},
            "ServiceBusConnection__fullyQualifiedNamespace",
            "host name",
        ),
        (
            {
                "ServiceBusConnection": None,
                "ServiceBusConnection__fullyQualifiedNamespace": "bus.example",
                "ServiceBusConnection__credential": "password",
            },
            "ServiceBusConnection__credential",
            "managedidentity",
        ),
        ({"SweepQueue": "runtime-INGESTION-completed"}, "SweepQueue", "IngestionQueue"),
        ({"SweepQueue": "a queue?"}, "SweepQueue", "legal"),
        ({"TelemetryHub": "#"}, "TelemetryHub", "legal"),
        ({"Auth__Issuer": "http://issuer.example"}, "Auth__Issuer", "https"),
        ({"Auth__JwksUri": "https://[::1"}, "Auth__JwksUri", "https"),
        ({"Auth__JwksUri": "http://127.0.0.1.evil.example/jwks"}, "Auth__JwksUri", "https"),
        ({"Auth__PlatformAuthentication": "true"}, "Auth__PlatformAuthentication", "WEBSITE_AUTH_ENABLED"),
        ({"Lease__RenewSeconds": "15"}, "Lease__RenewSeconds", "half"),
        ({"Lease__Seconds": "0"}, "Lease__Seconds", "whole number"),
        ({"Lease__Seconds": "3e1"}, "Lease__Seconds", "whole number"),
        ({"Lane__SweepConcurrency": "-1"}, "Lane__SweepConcurrency", "whole number"),
        ({"Retry__Seconds": "1,2"}, "Retry__Seconds", "4 numbers"),
        ({"Retry__Seconds": "1,2,3,nan"}, "Retry__Seconds", "4 numbers"),
        ({"Sweep__HourUtc": "24"}, "Sweep__HourUtc", "0 to 23"),
        ({"Sweep__LookbackDays": "6"}, "Sweep__LookbackDays", "7 to 730"),
        ({"Review__CategoryConfidence": "nan"}, "Review__CategoryConfidence", "0 to 1"),
        ({"Review__CategoryConfidence": "1.1"}, "Review__CategoryConfidence", "0 to 1"),
        ({"Drill__Enabled": "yes"}, "Drill__Enabled", "true or false"),
        ({"Drill__Enabled": "true", "WEBSITE_SITE_NAME": "mosaic-prod"}, "Drill__Enabled", "deployment"),
        ({"Drill__Enabled": "1", "WEBSITE_SITE_NAME": "x"}, "Drill__Enabled", "remove the setting"),
        ({"Lease__Second": "3"}, "Lease__Second", "Lease__Seconds"),
        ({"lease__seconds": "3"}, "lease__seconds", "call it Lease__Seconds"),
        ({"sweepQueue": "x"}, "sweepQueue", "call it SweepQueue"),
        ({"SweapQueue": "x"}, "SweapQueue", "call it SweepQueue"),
        ({"Lese__Seconds": "40"}, "Lese__Seconds", "call it Lease__Seconds"),
        ({"Sweep_HourUtc": "3"}, "Sweep_HourUtc", "call it Sweep__HourUtc"),
        ({"Sweep__Schedule": "0 */10 * * *"}, "Sweep__Schedule", "six fields"),
        ({"Sweep__Schedule": "0 0 24 * * *"}, "Sweep__Schedule", "six fields"),
        ({"Outbox__Schedule": "00:01:00"}, "Outbox__Schedule", "six fields"),
        ({"Outbox__Schedule": "0 */0 * * * *"}, "Outbox__Schedule", "six fields"),
        ({"PYTHON_ENABLE_OPENTELEMETRY": "true"}, "PYTHON_ENABLE_OPENTELEMETRY", "must not be set"),
        ({"PYTHON_ENABLE_OPENTELEMETRY": "0"}, "PYTHON_ENABLE_OPENTELEMETRY", "must not be set"),
    ],
)
def test_a_fault_is_named_with_its_remedy(changes: dict[str, str | None], named: str, said: str) -> None:
    (fault,) = faults(changes)
    assert fault.startswith(named)
    assert said in fault


def test_several_faults_are_reported_together() -> None:
    found = faults({"Auth__Audience": " ", "Lease__Seconds": "x", "Lease__Second": "3", "SweepQueue": "%"})
    assert [fault.split()[0] for fault in found] == ["Auth__Audience", "SweepQueue", "Lease__Seconds", "Lease__Second"]


def test_other_programs_settings_are_left_alone() -> None:
    others = {"PATH": "/bin", "AzureWebJobsStorage__accountName": "x", "PYTHON__X": "1", "TZ": "UTC", "HOME": "/"}
    # what the platform puts into the environment of every app
    others |= {"APPSETTING_ServiceBusConnection__fullyQualifiedNamespace": "x", "APPSETTING_Auth__Issuer": "x"}
    others |= {"WEBSITE_AUTH_ENCRYPTION_KEY": "x", "FUNCTIONS_WORKER_RUNTIME": "python", "WEBSITE_SITE_NAME": "a"}
    others |= {"ServiceBusAdministrationConnection": "x", "AzureFunctionsJobHost__functionTimeout": "00:10:00"}
    Settings.from_env({**MINIMAL, **others})


@pytest.mark.parametrize(
    "schedule",
    ["30 * * * * *", "0 */10 * * * *", "0 5-59/10 * * * *", "0 0 2,14 1-15 jan-Mar MON-fri", "59 59 23 31 12 6"],
)
def test_a_schedule_that_the_host_reads_is_taken(schedule: str) -> None:
    Settings.from_env({**MINIMAL, "Sweep__Schedule": schedule, "Outbox__Schedule": schedule})


def test_a_fault_has_a_name_and_a_reason_for_health_to_tell() -> None:
    changes = {"Auth__Issuer": None, "SweepQueue": "%", "Lease__Second": "3", "PYTHON_ENABLE_OPENTELEMETRY": "1"}
    found = faults({**changes, "TablesConnection__endpoint": "https://t.example"})
    assert [(fault.name, fault.reason) for fault in found if isinstance(fault, Fault)] == [
        ("TablesConnection", "setting_contradicts"),
        ("Auth__Issuer", "setting_missing"),
        ("SweepQueue", "setting_invalid"),
        ("PYTHON_ENABLE_OPENTELEMETRY", "setting_forbidden"),
        ("Lease__Second", "setting_unknown"),
    ]


@pytest.mark.parametrize("name", sorted(recorded_names()))
def test_no_fault_repeats_what_a_setting_holds(name: str) -> None:
    """A value may be a secret that went into the wrong box."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env({**MINIMAL, "Lease__Second": "3", name: "7c1f-into-the-wrong-box;!"})
    assert "7c1f" not in f"{caught.value} {caught.value.rationale}"


def test_what_is_forbidden_on_the_platform_says_why() -> None:
    assert REFUSED_AT_START.items() <= FORBIDDEN_ON_FLEX.items()
    assert all(re.fullmatch(r"[A-Z][A-Z_]+", name) and why for name, why in FORBIDDEN_ON_FLEX.items())


def test_no_secret_is_shown() -> None:
    settings = Settings.from_env(MINIMAL)
    assert KEY not in repr(settings)
    assert all(KEY not in fault for fault in faults({"ServiceBusConnection__clientId": "x", "SweepQueue": "%"}))


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings.from_env(MINIMAL).lease_seconds = 3  # type: ignore[misc]


# ----------------------------------------------------------------------------------------------------------- host.json


def host(renewal: object = "00:08:00", timeout: object = "00:10:00") -> dict[str, Any]:
    return {"functionTimeout": timeout, "extensions": {"serviceBus": {"maxAutoLockRenewalDuration": renewal}}}


def test_the_shipped_host_json_fits_the_defaults() -> None:
    assert check_host_json(Settings.from_env(MINIMAL), json.loads((ROOT / "host.json").read_text())) == []


def test_the_shipped_host_json_leaves_settling_and_waiting_to_the_app() -> None:
    service_bus = json.loads((ROOT / "host.json").read_text())["extensions"]["serviceBus"]
    # the app settles when its commit point is passed, and no message's lock runs out in a buffer
    assert service_bus["autoCompleteMessages"] is False
    assert service_bus["prefetchCount"] == 0


@pytest.mark.parametrize(
    ("host_json", "said"),
    [
        (host(renewal="00:04:00"), "Lane__DeadlineSeconds"),
        (host(renewal="00:10:00"), "functionTimeout"),
        (host(renewal="soon"), "no time span"),
        ({"functionTimeout": "00:10:00"}, "maxAutoLockRenewalDuration is missing"),
        ({"extensions": host()["extensions"]}, "functionTimeout is missing"),
    ],
)
def test_a_contradiction_with_host_json_is_said(host_json: dict[str, Any], said: str) -> None:
    (fault,) = check_host_json(Settings.from_env(MINIMAL), host_json)
    assert said in fault


def test_an_unlimited_function_timeout_fits() -> None:
    assert check_host_json(Settings.from_env(MINIMAL), host(timeout="-1")) == []
    assert (
        check_host_json(replace(Settings.from_env(MINIMAL), lane_deadline_seconds=3600), host("1.00:00:00", -1)) == []
    )


# --------------------------------------------------------------------------------------------------------------- build


def test_the_version_is_the_project_s() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION


def test_the_commit_comes_from_the_setting_else_from_the_file(tmp_path: Path) -> None:
    assert Build.of({}, tmp_path).commit == "unknown"
    (tmp_path / "build.json").write_text('{"commit": "ABCDEF0123456789"}')
    assert Build.of({}, tmp_path).commit == "abcdef0123456789"
    assert Build.of({"MOSAIC_COMMIT": "0123456"}, tmp_path).commit == "0123456"
    assert Build.of({"MOSAIC_COMMIT": "<script>"}, tmp_path).commit == "unknown"


def test_the_digest_tells_packages_apart_and_ignores_caches(tmp_path: Path) -> None:
    package = tmp_path / "mosaic_core"
    (package / "__pycache__").mkdir(parents=True)
    (package / "a.py").write_text("1")
    first = Build.of({}, tmp_path).package_digest
    (package / "__pycache__" / "a.pyc").write_text("x")
    assert Build.of({}, tmp_path).package_digest == first
    (package / "a.py").write_text("2")
    assert Build.of({}, tmp_path).package_digest != first


def test_the_package_s_digest_stands_only_where_its_code_does(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text("{}")
    code = Build.of({}, tmp_path).package_digest
    (tmp_path / "build.json").write_text(json.dumps({"digest": "d" * 64, "code": code}))
    assert Build.of({}, tmp_path).package_digest == "d" * 64
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    assert Build.of({}, tmp_path).package_digest not in (code, "d" * 64)


@pytest.mark.parametrize("text", ["", "[]", '{"commit": 7, "digest": null}', "{", "\xff"])
def test_a_build_file_that_says_nothing_is_as_none(tmp_path: Path, text: str) -> None:
    without = Build.of({}, tmp_path)
    (tmp_path / "build.json").write_text(text, "latin-1")
    assert Build.of({}, tmp_path) == without


@pytest.mark.parametrize(
    ("deadline", "limits", "said"),
    [
        (459, host(timeout="00:20:00"), ""),
        (460, host(timeout="00:20:00"), "maxAutoLockRenewalDuration"),
        (424, host(), ""),
        (425, host(), "functionTimeout"),
    ],
)
def test_what_a_delivery_may_wait_for_counts_with_its_deadline(deadline: int, limits: Any, said: str) -> None:
    """For a place and a turn, alone or for a suspect, for threads: past functionTimeout the host kills the process with
    all that is under way in it."""
    faults = check_host_json(replace(Settings.from_env(MINIMAL), lane_deadline_seconds=deadline), limits)
    assert [said in fault for fault in faults] == ([True] if said else [])
    # the figures are the code's own, not a second set of them
    limit = 480 if deadline >= 459 else 600
    longest = deadline + WAITERS * WAIT_SECONDS
    if limit == 600:
        delivery = DeliveryLimits()
        longest += delivery.company + delivery.solitude + delivery.threads
    assert (longest >= limit) == bool(said)


def test_the_delivery_s_bounds_follow_host_json() -> None:
    shipped = Container(Settings.from_env(MINIMAL, json.loads((ROOT / "host.json").read_text()))).delivery.limits
    assert (shipped.delivery, shipped.invocation) == (DeliveryLimits().delivery, DeliveryLimits().invocation)
    other = Container(Settings.from_env(MINIMAL, host("00:06:00", "00:07:30"))).delivery.limits
    assert (other.delivery, other.invocation) == (330.0, 420.0)


def test_what_contradicts_host_json_is_reported_with_the_rest() -> None:
    host_json = json.loads((ROOT / "host.json").read_text())
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env({**MINIMAL, "Lane__DeadlineSeconds": "3000", "Retry__Seconds": "soon"}, host_json)
    assert [fault.split()[0] for fault in caught.value.faults] == ["Retry__Seconds", "Lane__DeadlineSeconds"]
