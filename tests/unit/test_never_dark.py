"""Never dark: whatever is wrong with settings, package or what the app builds on, health answers and names it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import runpy
import subprocess
import sys
import textwrap
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
)
from azure.data.tables.aio import TableClient
from azure.eventhub.exceptions import AuthenticationError, ConnectError
from azure.identity import CredentialUnavailableError
from azure.servicebus import exceptions as sb
from azure.servicebus._pyamqp.error import TokenAuthFailure
from azure.storage.blob.aio import ContainerClient

from mosaic_core.adapters import eventhubs, identity, servicebus
from mosaic_core.adapters.tables import TABLES
from mosaic_core.adapters.tables.reads import RowReads
from mosaic_core.bootstrap import Container
from mosaic_core.config import Settings
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_core.entrypoints import http
from mosaic_core.entrypoints.http.call import IF_KNOWN_SECONDS
from mosaic_core.services import health
from mosaic_core.services.views import Health
from tests.unit.test_config import BUS, MINIMAL, ROOT

LIVE, READY = "health_live", "health_ready"
SECRET = "c2VjcmV0LWtleS1vZi10aGUtdGVzdA"


def functions_of(app: func.FunctionApp) -> dict[str, Any]:
    return {str(function.get_function_name()): function.get_user_function() for function in app.get_functions()}


async def asked(function: Any, headers: Mapping[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    """Status and body, which is always of the documented shape."""
    answer = await function(func.HttpRequest("GET", "/api/v1/agent/health", headers=headers or {}, body=b""))
    body = json.loads(answer.get_body())
    Health.model_validate(body)
    assert "Cache-Control" in answer.headers
    return answer.status_code, body


def down(body: Mapping[str, Any]) -> dict[str, tuple[str, list[str]]]:
    return {d["name"]: (d["reason"], d["parts"]) for d in body["dependencies"] if d["state"] != "up"}


# ------------------------------------------------------------------------------------------ settings, files, packages


def started(monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str]) -> dict[str, Any]:
    """The functions of function_app.py as the worker finds them, imported with these settings."""
    for name in list(os.environ):
        if name not in {"PATH", "HOME", "PYTHONPATH"}:
            monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    # the process that runs the tests keeps its own handler
    monkeypatch.setattr("mosaic_core.bootstrap.drain_on_terminate", lambda _: True)
    found = runpy.run_path(str(ROOT / "function_app.py"), run_name="function_app")
    apps = [value for value in found.values() if isinstance(value, func.FunctionApp)]
    assert len(apps) == 1, "the worker refuses more than one"
    return functions_of(apps[0])


def without(*names: str, **more: str) -> dict[str, str]:
    return {name: value for name, value in MINIMAL.items() if name not in names} | more


NAMESPACE = {"ServiceBusConnection__fullyQualifiedNamespace": "bus.example"}
MODEL = {"Agent__Provider": "azure_openai", "Agent__Deployment": "d", "Agent__ApiVersion": "v"}

MISTAKES: dict[str, tuple[dict[str, str], set[tuple[str, str]]]] = {
    # missing
    **{f"{name} missing": (without(name), {(name, "setting_missing")}) for name in MINIMAL},
    "every setting missing": ({}, {(name, "setting_missing") for name in MINIMAL}),
    "an empty setting": (without(Auth__Audience="  "), {("Auth__Audience", "setting_missing")}),
    "a model's endpoint missing": (without(**MODEL), {("Agent__Endpoint", "setting_missing")}),
    # misspelt
    "a connection misspelt": (
        without("TablesConnection", TableConnection=MINIMAL["TablesConnection"]),
        {("TablesConnection", "setting_missing"), ("TableConnection", "setting_unknown")},
    ),
    "an identity's part misspelt": (
        without("ServiceBusConnection", ServiceBusConnection__fullyQualifiedNamespce="bus.example"),
        {
            ("ServiceBusConnection", "setting_missing"),
            ("ServiceBusConnection__fullyQualifiedNamespce", "setting_unknown"),
        },
    ),
    "a group misspelt": (without(Lese__Seconds="40"), {("Lese__Seconds", "setting_unknown")}),
    "a name misspelt": (without(Lease__Second="40"), {("Lease__Second", "setting_unknown")}),
    "a queue's setting misspelt": (without(SweapQueue="other"), {("SweapQueue", "setting_unknown")}),
    "other letters": (without(auth__issuer="https://x.example"), {("auth__issuer", "setting_unknown")}),
    # of the wrong type, out of bounds
    "no number": (without(Lease__Seconds="soon"), {("Lease__Seconds", "setting_invalid")}),
    "a number with a unit": (without(Lane__DeadlineSeconds="240s"), {("Lane__DeadlineSeconds", "setting_invalid")}),
    "neither true nor false": (without(Stores__CreateTables="ja"), {("Stores__CreateTables", "setting_invalid")}),
    "out of bounds": (without(Sweep__HourUtc="24"), {("Sweep__HourUtc", "setting_invalid")}),
    "no places": (without(Lane__SweepConcurrency="0"), {("Lane__SweepConcurrency", "setting_invalid")}),
    "no queue's name": (without(SweepQueue="a queue?"), {("SweepQueue", "setting_invalid")}),
    "no schedule": (without(Sweep__Schedule="every night"), {("Sweep__Schedule", "setting_invalid")}),
    "five fields": (without(Outbox__Schedule="*/5 * * * *"), {("Outbox__Schedule", "setting_invalid")}),
    "no provider": (without(Agent__Provider="gpt"), {("Agent__Provider", "setting_invalid")}),
    "a small body limit": (
        without(FUNCTIONS_REQUEST_BODY_SIZE_LIMIT="1000"),
        {("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", "setting_invalid")},
    ),
    # contradictions
    "string and identity": (without(**NAMESPACE), {("ServiceBusConnection", "setting_contradicts")}),
    "string and client id": (without(BlobsConnection__clientId="x"), {("BlobsConnection", "setting_contradicts")}),
    "one queue for two lanes": (
        without(SweepQueue="runtime-ingestion-completed"),
        {("SweepQueue", "setting_contradicts")},
    ),
    "a lease that cannot be renewed": (
        without(Lease__RenewSeconds="20"),
        {("Lease__RenewSeconds", "setting_contradicts")},
    ),
    "a deadline past the host's limits": (
        without(Lane__DeadlineSeconds="470"),
        {("Lane__DeadlineSeconds", "setting_contradicts")},
    ),
    "key and identity": (
        without(**MODEL, Agent__Endpoint="https://m.example", Agent__ApiKey=SECRET, Agent__ClientId="x"),
        {("Agent__ApiKey", "setting_contradicts")},
    ),
    # addresses
    "a page instead of an issuer": (without(Auth__Issuer="issuer.example"), {("Auth__Issuer", "setting_invalid")}),
    "keys over http": (without(Auth__JwksUri="http://i.example/keys"), {("Auth__JwksUri", "setting_invalid")}),
    "a URL where a host name belongs": (
        without("EventHubsConnection", EventHubsConnection__fullyQualifiedNamespace="sb://hub.example/"),
        {("EventHubsConnection__fullyQualifiedNamespace", "setting_invalid")},
    ),
    "http storage": (
        without("TablesConnection", TablesConnection__endpoint="http://t.example"),
        {("TablesConnection__endpoint", "setting_invalid")},
    ),
    "a queue's own connection string": (
        without(ServiceBusConnection=BUS + "EntityPath=q"),
        {("ServiceBusConnection", "setting_invalid")},
    ),
    "a connection string without a key": (
        without(EventHubsConnection="Endpoint=sb://x"),
        {("EventHubsConnection", "setting_invalid")},
    ),
    "a key alone": (without(TablesConnection=SECRET), {("TablesConnection", "setting_invalid")}),
    "a certificate as credential": (
        without("ServiceBusConnection", ServiceBusConnection__credential="certificate", **NAMESPACE),
        {("ServiceBusConnection__credential", "setting_invalid")},
    ),
    "a storage account without a name": (
        without(TablesConnection="AccountName=;AccountKey=x;TableEndpoint=ftp://x"),
        {("TablesConnection", "setting_invalid")},
    ),
    # forbidden
    "OpenTelemetry by the worker's other switch": (
        without(PYTHON_ENABLE_OPENTELEMETRY="true"),
        {("PYTHON_ENABLE_OPENTELEMETRY", "setting_forbidden")},
    ),
    "drills in a deployment": (
        without(Drill__Enabled="true", WEBSITE_SITE_NAME="func-x"),
        {("Drill__Enabled", "setting_forbidden")},
    ),
    "somebody's header, and no platform that checks it": (
        without(Auth__PlatformAuthentication="true"),
        {("Auth__PlatformAuthentication", "setting_contradicts")},
    ),
    "several at once": (
        without("Auth__Audience", SweepQueue="%", Lease__Second="3"),
        {
            ("Auth__Audience", "setting_missing"),
            ("SweepQueue", "setting_invalid"),
            ("Lease__Second", "setting_unknown"),
        },
    ),
}


def test_there_are_forty_mistakes_at_least() -> None:
    assert len(MISTAKES) + len(AWAY) >= 40


@pytest.mark.parametrize("mistake", MISTAKES)
async def test_a_setting_that_is_wrong_is_named(
    mistake: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two functions, no trigger that takes messages, both answer 503 and name it; so does stderr. No value is told."""
    environ, named = MISTAKES[mistake]
    functions = started(monkeypatch, environ)
    assert set(functions) == {LIVE, READY}
    told = capsys.readouterr().err
    for function in functions.values():
        status, body = await asked(function)
        assert (status, body["status"]) == (503, "not_started")
        assert {(d["name"], d["reason"]) for d in body["dependencies"]} == named
        assert (body["version"], body["commit"], body["packageDigest"]) == (None, None, None)
        for secret in (SECRET, "example", "SharedAccess", "127.0.0.1", "Traceback", str(ROOT)):
            assert secret not in json.dumps(body)
            assert secret not in told
    assert all(name in told for name, _ in named)


async def test_without_a_mistake_everything_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    functions = started(monkeypatch, {**MINIMAL, "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": "true"})
    assert len(functions) == len(json.loads((ROOT / "docs/reference/functions.json").read_text()))
    assert {"ingestion_lane", "conversation_lane", "sweep_lane", LIVE, READY} <= set(functions)


def test_azure_s_loggers_are_at_warning_where_nothing_else_has_set_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's root logger is at INFO, where the SDKs tell each request, token and link."""
    loggers = [logging.getLogger(name) for name in ("azure", "uamqp", "azure.identity")]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.NOTSET)
        logging.getLogger("azure.identity").setLevel(logging.DEBUG)  # somebody looks for something
        started(monkeypatch, MINIMAL)
        for noisy in ("azure.core.pipeline.policies.http_logging_policy", "azure.servicebus._pyamqp", "uamqp.c_uamqp"):
            assert logging.getLogger(noisy).getEffectiveLevel() == logging.WARNING
        assert logging.getLogger("azure.identity.aio").getEffectiveLevel() == logging.DEBUG
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


async def test_storage_that_is_away_while_tables_are_to_be_made_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object, **__: object) -> None:
        raise ServiceRequestError("no route to storage.example")

    monkeypatch.setattr(TableClient, "create_table", away)
    functions = started(monkeypatch, {**MINIMAL, "Stores__CreateTables": "true"})
    status, body = await asked(functions[READY])
    assert (status, down(body)) == (503, {"Stores__CreateTables": ("unreachable", [])})


@pytest.mark.parametrize("text", [None, "", "[]", '{"version": "2.0"}', "{"])
async def test_a_host_json_that_is_none_is_named(text: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_text

    def read_text(self: Path, *args: Any, **kwargs: Any) -> str:
        if self.name != "host.json":
            return read(self, *args, **kwargs)
        if text is None:
            raise FileNotFoundError(self)
        return text

    monkeypatch.setattr(Path, "read_text", read_text)
    functions = started(monkeypatch, MINIMAL)
    assert set(functions) == {LIVE, READY}
    status, body = await asked(functions[READY])
    assert (status, down(body)) == (503, {"host.json": ("file_invalid", [])})


@pytest.mark.parametrize(
    "missing",
    ["mosaic_core", "mosaic_core.bootstrap", "pydantic", "azure.data.tables", "opentelemetry", "aiohttp", "azure.core"],
)
def test_a_package_that_is_missing_is_named(missing: str) -> None:
    """In a process of its own, as nothing of it may have been imported before."""
    program = f"""
        import asyncio, json, sys

        class Without:
            def find_spec(self, name, path=None, target=None):
                if name == {missing!r} or name.startswith({missing + "."!r}):
                    raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

        sys.meta_path.insert(0, Without())
        import azure.functions as func
        import function_app
        for function in function_app.app.get_functions():
            answer = asyncio.run(function.get_user_function()(func.HttpRequest("GET", "/", body=b"")))
            print(json.dumps([function.get_function_name(), answer.status_code, json.loads(answer.get_body())]))
    """
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **MINIMAL}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], env=environ, capture_output=True, text=True, check=True
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(name, status) for name, status, _ in answers] == [(LIVE, 503), (READY, 503)]
    for *_, body in answers:
        [(name, (reason, _))] = down(body).items()
        assert reason == "package_missing"
        assert name == missing or name.startswith(f"{missing}.")
    assert missing in done.stderr


@pytest.mark.parametrize(
    "raised", [RuntimeError(SECRET), ValueError(SECRET), SystemExit(3), MemoryError(), BaseException(SECRET)]
)
async def test_whatever_is_raised_is_caught_and_told_by_its_type(
    raised: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(_: object) -> None:
        raise raised

    monkeypatch.setattr("mosaic_core.bootstrap.build", build)
    functions = started(monkeypatch, MINIMAL)
    assert set(functions) == {LIVE, READY}
    status, body = await asked(functions[READY])
    assert (status, down(body)) == (503, {type(raised).__name__: ("start_failed", [])})
    told = capsys.readouterr().err
    assert re.search(r"test_never_dark\.py:\d+ in build", told)
    assert SECRET not in told + json.dumps(body)


async def test_a_model_without_its_packages_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mosaic_core.bootstrap.MODEL_PACKAGES", ("agent_framework", "a_client_that_is_not_there"))
    model = {"Agent__Provider": "openai", "Agent__Model": "m", "Agent__ApiKey": SECRET}
    functions = started(monkeypatch, {**MINIMAL, **model, "Agent__Endpoint": "https://m.example"})
    assert set(functions) == {LIVE, READY}
    status, body = await asked(functions[READY])
    assert (status, down(body)) == (503, {"Agent__Provider": ("package_missing", [])})


# ------------------------------------------------------------------------------------------ what the app builds on


class Azure:
    """What the SDKs' own operations come to, one by one. They are replaced; everything of ours is as it ships."""

    def __init__(self) -> None:
        self.away: dict[str, Callable[[], Awaitable[None]]] = {}
        self.asked: list[str] = []

    async def ask(self, part: str) -> None:
        self.asked.append(part)
        for name in (part, part.partition(".")[0]):
            if name in self.away:
                await self.away[name]()

    async def table(self, reads: RowReads, *_: object, **__: object) -> None:
        await self.ask(f"table.{reads._requests._address.rpartition('/')[2]}")
        raise storage_error(404, "ResourceNotFound")

    async def blob(self, *_: object, **__: object) -> None:
        await self.ask("blob")
        raise storage_error(404, "BlobNotFound")

    async def keys(self) -> Mapping[str, Any]:
        await self.ask("keys")
        return self.key_set

    key_set: Mapping[str, Any] = {}


class Link:
    """A link of either bus."""

    def __init__(self, azure: Azure, part: str) -> None:
        self._azure, self._part = azure, part

    async def __aenter__(self) -> Link:
        await self._azure.ask(self._part)
        return self

    create_batch = __aenter__

    async def close(self) -> None:
        pass


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> Azure:
    azure, Deafness.over = Azure(), asyncio.Event()
    servicebus.import_sdk()  # takes longer than a probe may
    monkeypatch.setattr(RowReads, "one", lambda *args, **kw: azure.table(*args, **kw))
    monkeypatch.setattr(ContainerClient, "download_blob", lambda *args, **kw: azure.blob(*args, **kw))
    monkeypatch.setattr(servicebus._Namespace, "new_sender", lambda _, queue: Link(azure, f"send.{queue}"))
    monkeypatch.setattr(
        servicebus._Namespace, "new_dead_letter_receiver", lambda _, queue: Link(azure, f"receive.{queue}")
    )

    async def new_producer(_: object) -> tuple[Link, None]:
        return Link(azure, "hub"), None

    monkeypatch.setattr(eventhubs.EventHubsPublisher, "_new_producer", new_producer)
    monkeypatch.setattr(identity, "fetch_by_http", lambda _: azure.keys)
    azure.key_set = KEY_SET
    return azure


KEY_SET = {
    "keys": [
        {
            "kty": "RSA",
            "kid": "k",
            "e": "AQAB",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjB"
            "ZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8"
            "KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_"
            "xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        }
    ]
}


async def token_refused_for_nothing() -> None:
    """As the SDK does where the answer names an error condition, which Azure's does."""
    sdk = logging.getLogger("azure.servicebus._pyamqp.aio._cbs_async")
    sdk.info("CBS Put token error: %r", b"amqp:not-found", extra={"amqpConnection": "c"})
    raise token_refused(None)


def token_refused(status: int | None) -> Exception:
    failure = TokenAuthFailure(status, b"bus.example")  # type: ignore[no-untyped-call]
    return sb.ServiceBusAuthenticationError(message="x", error=failure)


def storage_error(status: int, code: str) -> HttpResponseError:
    error = (ResourceNotFoundError if status == 404 else HttpResponseError)(f"{status} of account.example")
    answer: Any = object()
    error.status_code, error.error_code, error.response = status, code, answer  # type: ignore[attr-defined]
    return error


def raises(error: BaseException) -> Callable[[], Awaitable[None]]:
    async def away() -> None:
        raise error

    return away


async def silence() -> None:
    await asyncio.Event().wait()


class Deafness:
    """Does not even end when it is cut off."""

    over: asyncio.Event

    async def __call__(self) -> None:
        while not self.over.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.over.wait()


deafness = Deafness()


def not_found_hub() -> ConnectError:
    class RefusedError(Exception):
        condition = b"amqp:not-found"

    refused: Any = RefusedError()
    return ConnectError("no such hub at hub.example", refused)


FORBIDDEN = storage_error(403, "AuthorizationPermissionMismatch")
NO_TOKEN = CredentialUnavailableError("no identity at 169.254.169.254")
INGESTION, CONVERSATION, SWEEP = (RULES[lane].default_queue for lane in Lane)

AWAY: dict[str, tuple[str, Callable[[], Awaitable[None]], str, str, list[str]]] = {
    # what: part, what it does then, the dependency that is named, why, what of it
    "tables away": ("table", raises(ServiceRequestError("account.example")), "tables", "unreachable", [*TABLES]),
    "one table missing": (
        "table.AgentSignals",
        raises(storage_error(404, "TableNotFound")),
        "tables",
        "not_found",
        ["AgentSignals"],
    ),
    "one table of our own missing": (
        f"table.{TABLES[-1]}",
        raises(storage_error(404, "TableNotFound")),
        "tables",
        "not_found",
        [TABLES[-1]],
    ),
    "the tables' role missing": ("table", raises(FORBIDDEN), "tables", "forbidden", [*TABLES]),
    "no token for tables": ("table", raises(NO_TOKEN), "tables", "no_token", [*TABLES]),
    "tables throttled": ("table", raises(storage_error(503, "ServerBusy")), "tables", "unreachable", [*TABLES]),
    "tables silent": ("table", silence, "tables", "no_answer", []),
    "tables deaf": ("table", deafness, "tables", "no_answer", []),
    "blobs away": ("blob", raises(ServiceRequestError("account.example")), "blobs", "unreachable", []),
    "the container missing": ("blob", raises(storage_error(404, "ContainerNotFound")), "blobs", "not_found", []),
    "the blobs' role missing": ("blob", raises(FORBIDDEN), "blobs", "forbidden", []),
    "no token for blobs": ("blob", raises(ClientAuthenticationError("x")), "blobs", "no_token", []),
    "blobs silent": ("blob", silence, "blobs", "no_answer", []),
    **{
        f"the {lane} queue missing": (
            f"send.{RULES[lane].default_queue}",
            raises(sb.MessagingEntityNotFoundError(message="bus.example")),
            f"serviceBus.{lane.value}",
            "not_found",
            [],
        )
        for lane in Lane
    },
    "a queue missing, as Azure tells it to the token": (
        f"send.{SWEEP}",
        token_refused_for_nothing,
        "serviceBus.sweep",
        "not_found",
        [],
    ),
    "a queue missing, with a status": (
        f"send.{SWEEP}",
        raises(token_refused(404)),
        "serviceBus.sweep",
        "not_found",
        [],
    ),
    "a token that is refused without a reason": (
        f"send.{SWEEP}",
        raises(token_refused(None)),
        "serviceBus.sweep",
        "forbidden",
        ["send"],
    ),
    "a token that is refused": (
        f"send.{SWEEP}",
        raises(token_refused(401)),
        "serviceBus.sweep",
        "forbidden",
        ["send"],
    ),
    "a queue disabled": (
        f"receive.{SWEEP}",
        raises(sb.MessagingEntityDisabledError(message="x")),
        "serviceBus.sweep",
        "disabled",
        [],
    ),
    "the sender's role missing": (
        f"send.{CONVERSATION}",
        raises(sb.ServiceBusAuthorizationError(message="x")),
        "serviceBus.conversation",
        "forbidden",
        ["send"],
    ),
    "the receiver's role missing": (
        f"receive.{INGESTION}",
        raises(sb.ServiceBusAuthorizationError(message="x")),
        "serviceBus.ingestion",
        "forbidden",
        ["receive"],
    ),
    "no token for a queue": (f"send.{SWEEP}", raises(NO_TOKEN), "serviceBus.sweep", "no_token", []),
    "a queue silent": (f"send.{SWEEP}", silence, "serviceBus.sweep", "no_answer", []),
    "the bus away": (
        f"send.{SWEEP}",
        raises(sb.ServiceBusConnectionError(message="bus.example")),
        "serviceBus.sweep",
        "unreachable",
        [],
    ),
    "the hub missing": ("hub", raises(not_found_hub()), "eventHub", "not_found", []),
    "the hub's role missing": ("hub", raises(AuthenticationError("hub.example", None)), "eventHub", "forbidden", []),
    "the hub away": ("hub", raises(ConnectError("hub.example", None)), "eventHub", "unreachable", []),
    "the hub silent": ("hub", silence, "eventHub", "no_answer", []),
    "the issuer away": (
        "keys",
        raises(identity.KeysUnavailableError("ClientConnectorError")),
        "issuerKeys",
        "unreachable",
        [],
    ),
    "another page at the keys' address": (
        "keys",
        raises(identity.KeysUnavailableError("no JSON object", reason="unusable")),
        "issuerKeys",
        "unusable",
        [],
    ),
    "the issuer silent": ("keys", silence, "issuerKeys", "no_answer", []),
    "a bug": ("blob", raises(RuntimeError(SECRET)), "blobs", "failed", []),
}
NAMES = ["tables", "blobs", *(f"serviceBus.{lane.value}" for lane in Lane), "eventHub", "issuerKeys"]


def ready_of(container: Container) -> Any:
    app = func.FunctionApp()
    app.register_functions(http.create_blueprint(lambda: container.api))
    return functions_of(app)[READY]


@pytest.fixture
def ready(azure: Azure) -> Any:
    return ready_of(Container(Settings.from_env(MINIMAL)))


async def test_with_everything_there_it_is_ready(ready: Any, azure: Azure) -> None:
    status, body = await asked(ready)
    assert (status, body["status"], down(body)) == (200, "ready", {})
    assert [d["name"] for d in body["dependencies"]] == NAMES
    assert sorted(azure.asked) == sorted(
        [*(f"table.{table}" for table in TABLES), "blob", "hub", "keys"]
        + [f"{way}.{queue}" for way in ("send", "receive") for queue in (INGESTION, CONVERSATION, SWEEP)]
    )


@pytest.mark.parametrize("what", AWAY)
async def test_a_dependency_that_is_away_is_named(
    what: str, ready: Any, azure: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a bound, whatever it does; the others are told as they are. Commands do without the hub, so the instance
    is ready."""
    part, away, name, reason, parts = AWAY[what]
    assert health.PROBE_SECONDS + IF_KNOWN_SECONDS < 5
    if away in (silence, deafness):
        # the others answer meanwhile, each from a thread or two
        monkeypatch.setattr(health, "PROBE_SECONDS", 0.3)
    azure.away[part] = away
    try:
        async with asyncio.timeout(5):
            status, body = await asked(ready)
    finally:
        deafness.over.set()
    assert down(body) == {name: (reason, parts)}
    assert [d["name"] for d in body["dependencies"]] == NAMES
    assert (status, body["status"]) == ((200, "ready") if name == "eventHub" else (503, "not_ready"))
    for secret in (SECRET, "example", "169.254", "Error"):
        assert secret not in json.dumps(body)


async def test_everything_away_is_named_as_soon_as_one(ready: Any, azure: Azure) -> None:
    for part in ("table", "blob", "send", "hub", "keys"):
        azure.away[part] = raises(OSError("no route"))
    status, body = await asked(ready)
    assert status == 503
    assert {name: reason for name, (reason, _) in down(body).items()} == dict.fromkeys(NAMES, "unreachable") | {
        "tables": "unreachable",
        "issuerKeys": "failed" if down(body)["issuerKeys"][0] == "failed" else "unreachable",
    }


async def test_what_does_not_end_is_not_begun_again_and_again(
    ready: Any, azure: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PROBE_SECONDS", 0.01)
    monkeypatch.setattr(health, "BAD_SECONDS", 0.0)
    azure.away["blob"] = deafness
    try:
        for _ in range(5):
            _, body = await asked(ready)
            assert down(body)["blobs"] == ("no_answer", [])
        assert azure.asked.count("blob") == 1
    finally:
        deafness.over.set()
    azure.away.clear()
    async with asyncio.timeout(5):
        while down((await asked(ready))[1]):  # noqa: ASYNC110 - the probe's own end is not announced
            await asyncio.sleep(0)


async def test_a_flood_of_callers_asks_once(ready: Any, azure: Azure) -> None:
    await asyncio.gather(*(asked(ready) for _ in range(200)))
    assert len(azure.asked) == len(TABLES) + 3 + 6


async def test_known_keys_are_of_use_while_the_issuer_is_away(azure: Azure, monkeypatch: pytest.MonkeyPatch) -> None:
    container = Container(Settings.from_env(MINIMAL))
    ready = ready_of(container)
    assert (await asked(ready))[0] == 200
    azure.away["keys"] = raises(identity.KeysUnavailableError("ClientConnectorError"))
    container.verifier.keys._tried_at = container.health._kept["issuerKeys"] = float("-inf")  # type: ignore[assignment]
    container.health._kept.clear()
    status, body = await asked(ready)
    assert (status, body["status"], down(body)) == (200, "ready", {"issuerKeys": ("unreachable", [])})
    [state] = [d["state"] for d in body["dependencies"] if d["name"] == "issuerKeys"]
    assert state == "degraded"


INSIGHTS = {"APPLICATIONINSIGHTS_CONNECTION_STRING": f"InstrumentationKey={SECRET}"}
ON = {"PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": "true"}
IDENTITY = "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({}, None),
        (ON, None),
        ({**INSIGHTS, **ON}, []),
        ({**INSIGHTS, **ON, IDENTITY: "ClientId=x;Authorization=AAD", "WEBSITE_SITE_NAME": "func-x"}, []),
        (INSIGHTS, ["PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY"]),
        (
            {**INSIGHTS, "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": "on"},
            ["PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY"],
        ),
        ({"WEBSITE_SITE_NAME": "func-x", **ON}, ["APPLICATIONINSIGHTS_CONNECTION_STRING"]),
        ({**INSIGHTS, **ON, IDENTITY: "ClientId=x;Authorization=AAD;"}, [IDENTITY]),
    ],
)
async def test_what_keeps_spans_from_application_insights_is_named(
    settings: dict[str, str], named: list[str] | None, azure: Azure
) -> None:
    """The worker says nothing; commands do without, so the instance is ready. None: it is not asked about."""
    status, body = await asked(ready_of(Container(Settings.from_env({**MINIMAL, **settings}))))
    assert (status, body["status"]) == (200, "ready")
    [told] = [d for d in body["dependencies"] if d["name"] == "applicationInsights"] or [None]
    assert told == (named if named is None else told)
    if told is not None:
        assert (told["state"], told["parts"], told["required"]) == ("down" if named else "up", named, False)
    assert SECRET not in json.dumps(body)


@pytest.mark.parametrize("part", ["tables", "sender", "publisher", "verifier"])
@pytest.mark.parametrize(
    "error", [ModuleNotFoundError("no", name="a_package"), RuntimeError(SECRET), BaseException("a library's panic")]
)
async def test_what_cannot_even_be_built_is_named_and_health_is_told(
    part: str, error: BaseException, azure: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also to somebody with a token, which cannot be checked then."""

    def fails(_: Container) -> None:
        raise error

    monkeypatch.setattr(Container, part, property(fails))
    status, body = await asked(ready_of(Container(Settings.from_env(MINIMAL))), {"Authorization": "Bearer x.y.z"})
    expected = {"tables": ["tables", "blobs"], "publisher": ["eventHub"], "verifier": ["issuerKeys"]}.get(
        part, NAMES[2:5]
    )
    found = ("package_missing", ["a_package"]) if isinstance(error, ImportError) else ("failed", [])
    assert down(body) == dict.fromkeys(expected, found)
    assert status == (200 if part == "publisher" else 503)


async def test_a_caller_who_cannot_be_told_in_time_is_anybody(
    ready: Any, azure: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound holds for callers with a token as well, whose keys cannot be fetched."""
    monkeypatch.setattr("mosaic_core.entrypoints.http.call.IF_KNOWN_SECONDS", 0.01)
    monkeypatch.setattr(health, "PROBE_SECONDS", 0.05)
    azure.away["keys"] = silence
    import jwt

    token = jwt.encode({"sub": "x"}, "k" * 32, algorithm="HS256", headers={"kid": "k"})
    forged = ".".join(["eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ", *token.split(".")[1:]])
    began = time.monotonic()
    status, body = await asked(ready, {"Authorization": f"Bearer {forged}"})
    assert time.monotonic() - began < 4
    assert (status, body["commit"], down(body)) == (503, None, {"issuerKeys": ("no_answer", [])})
