"""host.json, app settings and bindings: what the embedded host takes, and what it refuses by name."""

import json
import logging
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from mosaic_local.host.config import HostJson, is_disabled, resolve, timespan
from mosaic_local.host.errors import HostConfigurationError
from mosaic_local.host.functions import HttpTrigger, ServiceBusTrigger, TimerTrigger, read_functions
from mosaic_local.host.messages import RpcFunctionMetadata, RpcRetryOptions

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {"Queue": "orders", "Bus": "Endpoint=sb://localhost:1;", "When": "0 */5 * * * *"}
BUS = {"type": "serviceBusTrigger", "direction": "IN", "name": "msg", "queueName": "%Queue%", "connection": "Bus"}
HTTP = {
    "type": "httpTrigger",
    "direction": "IN",
    "name": "req",
    "route": "v1/x/{id}",
    "methods": ["get"],
    "authLevel": "ANONYMOUS",
}
RETURN = {"type": "http", "direction": "OUT", "name": "$return"}
TIMER = {"type": "timerTrigger", "direction": "IN", "name": "t", "schedule": "%When%", "runOnStartup": False}


def host_json(tmp_path: Path, content: object) -> HostJson:
    path = tmp_path / "host.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return HostJson.load(path)


def metadata(
    *bindings: Mapping[str, object], retry: RpcRetryOptions | None = None, name: str = "f"
) -> RpcFunctionMetadata:
    raw = [json.dumps(binding) for binding in bindings]
    return RpcFunctionMetadata(name=name, function_id="1", raw_bindings=raw, retry_options=retry)


def test_the_apps_own_host_json_is_imitated_in_full() -> None:
    loaded = HostJson.load(ROOT / "host.json")
    assert loaded.route_prefix == "api"
    assert not loaded.auto_complete_messages
    assert loaded.function_timeout is not None
    assert loaded.max_auto_lock_renewal < loaded.function_timeout


def test_defaults_are_the_platforms(tmp_path: Path) -> None:
    loaded = host_json(tmp_path, {"version": "2.0"})
    assert loaded == HostJson()
    assert loaded.auto_complete_messages
    assert loaded.max_concurrent_calls == 16
    assert loaded.max_auto_lock_renewal == timedelta(minutes=5)


def test_comments_and_commas_at_the_end_are_passed_over(tmp_path: Path) -> None:
    text = """{ // a comment, [1,]
      "version": "2.0", /* , } */
      "extensions": {"http": {"routePrefix": "a,}//b",},},
    }"""
    assert host_json(tmp_path, text).route_prefix == "a,}//b"
    with pytest.raises(HostConfigurationError, match="not valid JSON"):
        host_json(tmp_path, '{"version": "2.0",,}')


def test_keys_match_whatever_their_case(tmp_path: Path) -> None:
    loaded = host_json(tmp_path, {"version": "2.0", "Extensions": {"ServiceBus": {"MaxConcurrentCalls": 3}}})
    assert loaded.max_concurrent_calls == 3


def test_what_steers_nothing_here_is_taken(tmp_path: Path) -> None:
    logging = {"applicationInsights": {"samplingSettings": {"isEnabled": True}}, "fileLoggingMode": "always"}
    bundle = {"id": "Microsoft.Azure.Functions.ExtensionBundle", "version": "[4.*, 5.0.0)"}
    logging = {**logging, "console": {"isEnabled": True}}
    content = {
        "$schema": "x",
        "version": "2.0",
        "extensionBundle": bundle,
        "telemetryMode": "OpenTelemetry",
        "logging": logging,
    }
    assert host_json(tmp_path, content) == HostJson()


def test_comments_are_passed_over_as_by_the_platform(tmp_path: Path) -> None:
    text = '\ufeff{"version": "2.0", // a word\n /* "version": "1.0", */ "extensionBundle": {"id": "a//b /* c */"}}'
    assert host_json(tmp_path, text) == HostJson()


def test_unlimited_function_timeout(tmp_path: Path) -> None:
    assert host_json(tmp_path, {"version": "2.0", "functionTimeout": "-1"}).function_timeout is None


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"version": "2.0", "retry": {"strategy": "fixedDelay"}}, "'retry.strategy'"),
        ({"version": "2.0", "extensions": {"serviceBus": {"sessionHandlerOptions": 1}}}, "sessionHandlerOptions"),
        ({"version": "2.0", "extensions": {"queues": {"batchSize": 1}}}, "extensions.queues.batchSize"),
        ({"version": "2.0", "extensions": {"serviceBus": {"prefetchCount": 5}}}, "prefetchCount"),
        ({"version": "2.0", "extensions": {"serviceBus": {"maxConcurrentCalls": 0}}}, "maxConcurrentCalls"),
        ({"version": "2.0", "extensions": {"serviceBus": {"autoCompleteMessages": "no"}}}, "autoCompleteMessages"),
        ({"version": "2.0", "extensions": {"queues": {}}}, "extensions.queues"),
        ({"version": "2.0", "logging": {"logLevels": {}}}, "logging.logLevels"),
        ({"version": "2.0", "logging": {"logLevel": {"Function.f": "Loud"}}}, "logLevel.Function.f"),
        ({"version": "2.0", "extensionBundle": {"idd": "x"}}, "extensionBundle.idd"),
        ({"version": "2.0", "functionTimeout": "10 minutes"}, "functionTimeout"),
        ({"version": "2.0", "logging": {"logLevel": {"default": "Loud"}}}, "logLevel.default"),
        ({"version": "1.0"}, "version"),
        ({}, "version"),
        ("{", "not valid JSON"),
        ("[]", "no JSON object"),
    ],
)
def test_what_is_not_imitated_is_refused_by_name(tmp_path: Path, content: object, named: str) -> None:
    with pytest.raises(HostConfigurationError, match=named.replace(".", r"\.")):
        host_json(tmp_path, content)


def test_settings_are_laid_over_host_json(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0", "functionTimeout": "00:05:00"}')
    loaded = HostJson.load(
        tmp_path / "host.json",
        {
            "AzureFunctionsJobHost__functionTimeout": "00:00:07",
            "azurefunctionsjobhost__extensions__serviceBus__maxConcurrentCalls": "3",
            "AzureFunctionsJobHost__extensions__serviceBus__autoCompleteMessages": "False",
            "AzureFunctionsJobHost:extensions:http:routePrefix": "",
            "AzureFunctionsJobHost__logging__logLevel__Function.work": "Error",
            "AzureFunctions": "x",
        },
    )
    assert loaded.function_timeout == timedelta(seconds=7)
    assert (loaded.max_concurrent_calls, loaded.auto_complete_messages, loaded.route_prefix) == (3, False, "")
    assert loaded.log_level("Function.work.User") == logging.ERROR


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AzureFunctionsJobHost__extensions__queues__batchSize", "3"),
        ("AzureFunctionsJobHost__functionTimeout", "ten"),
        ("AzureFunctionsJobHost__extensions__serviceBus__maxConcurrentCalls", "many"),
    ],
)
def test_a_setting_over_host_json_that_is_not_imitated_is_refused_by_name(
    tmp_path: Path, name: str, value: str
) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    with pytest.raises(HostConfigurationError, match=name):
        HostJson.load(tmp_path / "host.json", {name: value})


def test_the_longest_category_decides_a_log_level(tmp_path: Path) -> None:
    levels = {"default": "Warning", "Function": "Information", "function.noisy": "None", "Host.Results": "Error"}
    loaded = host_json(tmp_path, {"version": "2.0", "logging": {"logLevel": levels}})
    categories = ("Function.f.User", "Function.Noisy.User", "Host.General", "Host.Results", "my.logger")
    assert [loaded.log_level(category) for category in categories] == [20, 51, 30, 40, 30]
    assert not loaded.log_results
    assert host_json(tmp_path, {"version": "2.0"}).log_level("Function.f") == logging.INFO


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(HostConfigurationError) as refused:
        host_json(tmp_path, {"version": "2.0", "watchDirectories": ["x"], "functionTimeout": "x"})
    assert "watchDirectories" in str(refused.value)
    assert "functionTimeout" in str(refused.value)


def test_a_missing_host_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(HostConfigurationError, match=r"no host\.json"):
        HostJson.load(tmp_path / "host.json")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("00:05:00", timedelta(minutes=5)),
        ("1.02:03:04", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("00:00:00.5", timedelta(milliseconds=500)),
    ],
)
def test_time_spans(text: str, expected: timedelta) -> None:
    assert timespan(text) == expected


def test_names_in_percent_signs_come_from_settings() -> None:
    assert resolve("a-%Queue%-b", SETTINGS, "f") == "a-orders-b"
    with pytest.raises(HostConfigurationError, match=r"function x: the app setting 'Missing' is not set"):
        resolve("%Missing%", SETTINGS, "function x")


@pytest.mark.parametrize("name", ["AzureWebJobs.f.Disabled", "AzureWebJobs_f_Disabled", "AzureWebJobs__f__Disabled"])
@pytest.mark.parametrize(
    ("value", "disabled"), [("true", True), ("1", True), ("True", True), ("false", False), ("", False)]
)
def test_a_function_is_disabled_by_setting(name: str, value: str, disabled: bool) -> None:
    assert is_disabled("f", {name: value}) is disabled
    assert not is_disabled("g", {name: value})


def test_the_three_triggers_are_read() -> None:
    entries = [
        metadata(TIMER, name="c"),
        metadata(HTTP, RETURN, name="B"),
        metadata(BUS | {"autoCompleteMessages": "False"}, name="a"),
    ]
    bus, http, timer = read_functions(entries, HostJson(), SETTINGS)
    assert bus.trigger == ServiceBusTrigger("msg", "orders", SETTINGS["Bus"], auto_complete=False)
    assert isinstance(http.trigger, HttpTrigger)
    assert http.trigger.route.text == "api/v1/x/{id}"
    assert http.trigger.methods == {"GET"}
    assert isinstance(timer.trigger, TimerTrigger)
    assert timer.trigger.schedule.text == "0 */5 * * * *"


@pytest.mark.parametrize("host_wide", [True, False])
def test_auto_complete_falls_back_to_host_json(host_wide: bool) -> None:
    (function,) = read_functions([metadata(BUS)], HostJson(auto_complete_messages=host_wide), SETTINGS)
    assert isinstance(function.trigger, ServiceBusTrigger)
    assert function.trigger.auto_complete is host_wide


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        (metadata({"type": "queueTrigger", "name": "m"}), "'queueTrigger'"),
        (metadata(TIMER, {"type": "blob", "name": "b", "direction": "OUT"}), "'blob'"),
        (metadata(BUS | {"isSessionsEnabled": True}), "sessions"),
        (metadata(BUS | {"cardinality": "many"}), "cardinality many"),
        (metadata(BUS | {"topicName": "t"}), "'topicName'"),
        (metadata(BUS | {"connection": "Nowhere"}), "'Nowhere'"),
        (metadata(BUS | {"queueName": "%Nothing%"}), "'Nothing'"),
        (metadata(TIMER | {"schedule": "every day"}), "'every day'"),
        (metadata(BUS | {"dataType": "STREAM"}), "stream"),
        (metadata(BUS | {"dataType": "text"}), "'dataType'"),
        (metadata(BUS | {"autoCompleteMessages": "maybe"}), "'autoCompleteMessages'"),
        (metadata(BUS | {"whatever": 5}), "'whatever'"),
        (metadata(TIMER | {"runOnStartup": 1}), "'runOnStartup'"),
        (metadata(HTTP, RETURN | {"dataTypes": "x"}), "'dataTypes'"),
        (metadata(HTTP | {"route": "a/{x:even}"}, RETURN), "'even'"),
        (metadata(HTTP | {"route": "/a"}, RETURN), "slashes"),
        (metadata(TIMER, retry=RpcRetryOptions(3, "fixed_delay")), "retry policy"),
        (metadata(RETURN), "0 triggers"),
    ],
)
def test_a_binding_that_is_not_imitated_is_refused_by_name(entry: RpcFunctionMetadata, named: str) -> None:
    with pytest.raises(HostConfigurationError) as refused:
        read_functions([entry], HostJson(), SETTINGS)
    assert "'f'" in str(refused.value)
    assert named in str(refused.value)


def test_what_is_refused_says_by_which_setting_the_app_runs_without_it_and_does(
    caplog: pytest.LogCaptureFixture,
) -> None:
    entries = [
        metadata({"type": "queueTrigger", "name": "m"}, name="taken"),
        metadata(TIMER, retry=RpcRetryOptions(3, "fixed_delay"), name="again"),
        metadata(TIMER, name="nightly"),
    ]
    with pytest.raises(HostConfigurationError) as refused:
        read_functions(entries, HostJson(), SETTINGS)
    assert str(refused.value).endswith(
        "to run the app without: the app setting AzureWebJobs.taken.Disabled=true and AzureWebJobs.again.Disabled=true"
    )
    settings = SETTINGS | {"AzureWebJobs.taken.Disabled": "true", "AzureWebJobs__again__Disabled": "1"}
    (left,) = read_functions(entries, HostJson(), settings)
    assert left.name == "nightly"
    assert "function 'taken': the trigger 'queueTrigger'" in caplog.text


@pytest.mark.parametrize("name", ["my function", "1st", "host", "a.b", "ä", "a" * 129, "_x"])
def test_a_name_that_the_platform_does_not_take_is_refused(name: str) -> None:
    with pytest.raises(HostConfigurationError, match="a name is a letter"):
        read_functions([metadata(TIMER, name=name)], HostJson(), SETTINGS)
    assert (
        len(read_functions([metadata(TIMER, name=each) for each in ("Host-1", "a" * 128)], HostJson(), SETTINGS)) == 2
    )


def test_an_identity_based_connection_is_refused_as_such() -> None:
    with pytest.raises(HostConfigurationError, match="identity-based"):
        read_functions([metadata(BUS)], HostJson(), {"Queue": "q", "Bus__fullyQualifiedNamespace": "x"})


def test_functions_come_in_the_order_of_their_names_and_get_no_route_twice() -> None:
    entries = [metadata(HTTP | {"route": name}, RETURN, name=name) for name in ("b", "A", "C_", "ca")]
    assert [function.name for function in read_functions(entries, HostJson(), SETTINGS)] == ["A", "b", "ca", "C_"]
    posts = metadata(HTTP | {"route": "B", "methods": ["POST"]}, RETURN, name="other")
    assert len(read_functions([*entries, posts], HostJson(), SETTINGS)) == 5
    for methods in (["POST", "GET"], None):
        again = metadata(HTTP | {"route": "B", "methods": methods}, RETURN, name="other")
        with pytest.raises(HostConfigurationError, match="'other': its route is the one of function 'b'"):
            read_functions([*entries, again], HostJson(), SETTINGS)
    with pytest.raises(HostConfigurationError, match="'B': the name is given twice"):
        read_functions([*entries, metadata(TIMER, name="B")], HostJson(), SETTINGS)


@pytest.mark.parametrize(("data_type", "binary"), [(None, False), ("STRING", False), ("BINARY", True)])
def test_a_body_is_text_unless_the_binding_says_binary(data_type: str | None, binary: bool) -> None:
    (function,) = read_functions([metadata(BUS | {"dataType": data_type})], HostJson(), SETTINGS)
    assert isinstance(function.trigger, ServiceBusTrigger)
    assert function.trigger.binary is binary
