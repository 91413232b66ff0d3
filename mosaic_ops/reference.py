"""Writes docs/reference and local.settings.sample.json from the code: ``python -m mosaic_ops.reference``. A test holds
the files to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Never

import azure.functions as func
import typer

from mosaic_core.config import SETTINGS, ConsoleSettings
from mosaic_core.config.table import MODEL, PROVIDERS, TABLE, Setting
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_core.domain.membership import RIGHTS
from mosaic_core.entrypoints import asyncapi, console, http, queues, timers
from mosaic_core.entrypoints.http.answers import CODES
from mosaic_core.entrypoints.http.call import Access, Route
from mosaic_core.entrypoints.http.routes import ROUTES
from mosaic_core.entrypoints.openapi import document
from mosaic_ops.ops import app

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "docs" / "reference"
SAMPLE: Final = "local.settings.sample.json"
_WHO: Final = {
    Access.ANYBODY: "anybody",
    Access.TOKEN: "whoever has a valid token",
    Access.MEMBER: "a member of a household",
    Access.HOUSEHOLD: "a member of that household",
}


def files() -> dict[str, str]:
    """The generated files' contents by name."""
    return {
        "openapi.json": json.dumps(document(), indent=2) + "\n",
        "asyncapi.json": json.dumps(asyncapi.document(), indent=2) + "\n",
        **{f"schemas/{name}": json.dumps(it, indent=2) + "\n" for name, it in asyncapi.schemas().items()},
        "api.md": "\n".join(_api()) + "\n",
        "functions.json": json.dumps(functions(), indent=2) + "\n",
        "ops.md": "\n".join(_ops()) + "\n",
        "settings.md": "\n".join(_settings()) + "\n",
    }


def sample() -> str:
    """The settings of a developer's machine: the emulators' addresses, and what else the app does not start without."""
    values = {name: setting.sample for name, setting in SETTINGS.items() if setting.sample}
    return json.dumps({"IsEncrypted": False, "Values": {**_OF_THE_HOST, **values}}, indent=2) + "\n"


def functions() -> list[str]:
    """Names of the app's functions, sorted. Nothing is opened: what they need is made on their first call."""
    app = func.FunctionApp()
    app.register_functions(http.create_blueprint(_never))
    app.register_functions(console.create_blueprint(ConsoleSettings()))
    concurrency = dict.fromkeys(Lane, 1)
    queues_by_lane = {lane: RULES[lane].default_queue for lane in Lane}
    app.register_functions(queues.create_blueprint(_never, queues=queues_by_lane, concurrency=concurrency))
    app.register_functions(timers.create_blueprint(_never, _never, _never, _never, _never, _never))
    return sorted(str(function.get_function_name()) for function in app.get_functions())


def _never() -> Never:
    raise AssertionError("no function is called here")


def _api() -> Iterator[str]:
    yield "# HTTP API"
    yield ""
    yield "Generated (`python -m mosaic_ops.reference`) from the route table; shapes: [openapi.json](openapi.json)."
    yield ""
    yield "Every answer is JSON. An error is an `ErrorAnswer`: a code, a message, a trace id and details;"
    yield "a detail names a field and what is wrong with it, never its value."
    for route in ROUTES:
        yield from _route(route)
    yield ""
    yield "## Error codes"
    yield ""
    yield "| status | code | meaning |"
    yield "|---|---|---|"
    for code, (status, meaning) in sorted(CODES.items(), key=lambda item: (item[1][0], item[0])):
        yield f"| {status} | `{code}` | {meaning} |"


def _needs(route: Route) -> str:
    """What the token's roles and the membership have to allow."""
    token = f" with the role `{route.role}`" if route.role else ""
    roles = [role for role, rights in RIGHTS.items() if route.right in rights]
    return f"{token}, as {' or '.join(f'`{role}`' for role in roles)}" if roles else token


def _route(route: Route) -> Iterator[str]:
    yield ""
    yield f"## `{route.method} /api/{route.route}`"
    yield ""
    yield f"{route.summary}. {route.description}".strip()
    yield ""
    yield f"- For {_WHO[route.access]}{_needs(route)}."
    for parameter in route.query:
        yield f"- Query `{parameter.name}`: {parameter.description}"
    if route.body:
        yield f"- Body `{route.body.__name__}`" + (
            f", or JSON Lines of `{route.lines.__name__}`" if route.lines else ""
        )
    shape = f" `{route.answer.__name__}`" if route.answer else ""
    also = "".join(f", or {status} `{model.__name__}`" for status, model in route.also.items())
    yield f"- Answers {route.status}{shape}{also}" + (f"; `Location`: {route.location}" if route.location else "")
    yield f"- Errors: {', '.join(f'`{code}`' for code in route.codes)}"


def _ops() -> Iterator[str]:
    command = typer.main.get_command(app.whole())
    yield "# `./mosaic ops`"
    yield ""
    yield "Generated (`python -m mosaic_ops.reference`) from the commands themselves; `--help` says the same."
    yield ""
    yield str(command.help)
    yield ""
    yield "For every verb, anywhere on the line:"
    yield ""
    yield from _parameters(command)
    yield from _verbs(command, "./mosaic ops")


def _verbs(group: Any, before: str) -> Iterator[str]:
    # by name: the order in which verbs register is that of whoever imports them first
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from _verbs(command, f"{before} {name}")
            continue
        needs = "".join(
            f" {parameter.metavar or str(parameter.name).upper()}"
            for parameter in command.params
            if parameter.param_type_name == "argument"
        )
        yield ""
        yield f"## `{before} {name}{needs}`"
        yield ""
        yield str(command.help)
        if listed := list(_parameters(command)):
            yield ""
            yield from listed
        if command.epilog:
            yield ""
            yield command.epilog.replace("Example: ", "Example: `", 1) + "`"


def _parameters(command: Any) -> Iterator[str]:
    for parameter in command.params:
        if parameter.name in {"help", "json"}:
            continue
        said = (parameter.help or "").rstrip(".")
        choices = ", ".join(f"`{choice}`" for choice in _choices(parameter))
        default = parameter.default if isinstance(parameter.default, (int, float)) else None
        default = None if isinstance(default, bool) else default
        more = "; ".join(filter(None, (choices, f"default {default:g}" if default is not None else "")))
        named = parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar
        named = named or str(parameter.name).upper()
        yield f"- `{named}`: {'; '.join(filter(None, (said, more)))}."


def _choices(parameter: Any) -> list[str]:
    kind = parameter.type_descriptor.annotation
    return [str(choice) for choice in kind] if isinstance(kind, type) and issubclass(kind, StrEnum) else []


_OF_THE_HOST: Final = {"FUNCTIONS_WORKER_RUNTIME": "python", "AzureWebJobsStorage": "UseDevelopmentStorage=true"}
"""What the host wants to be told on a machine of one's own."""

_HEAD: Final = """\
# Settings

Generated (`python -m mosaic_ops.reference`) from the table that the app reads by (`mosaic_core/config/table.py`).

App settings are environment variables; all of them are read once, at start. What is missing, contradicts something else
or is misspelt (`Lease__Second`, `SweapQueue`) is reported in one go, each with its remedy, on stderr and in the log;
the app then registers its two health functions alone, which answer 503 with the names of what is wrong, and takes no
message."""

_REST: Final = "The rest, with their defaults"
_BEFORE: Final = {
    "Connections": """\
Each connection comes in one of two forms, never both: a connection string under its own name, or the app's identity
with an endpoint. `…__clientId` picks a user-assigned identity; `…__credential`, if set, is `managedidentity`.""",
    "The console": (
        "How people sign in at `/api/console` ([console.md](../console.md)). The token that they get is checked as any "
        "other."
    ),
    MODEL: """\
`Agent__Provider` says who answers questions: `offline` (rules over the ledger, no model), `openai` or `azure_openai`.
A provider's settings without the provider, or another provider's, are an error at start. Nothing is read from the
providers' own variables (`OPENAI_API_KEY`, `AZURE_OPENAI_…`).""",
}
_AFTER: Final = {
    "Telemetry in Azure": (
        "Azure's own loggers (`azure.*`) are set to WARNING at start, where nothing else has set them."
    )
}


def _settings() -> Iterator[str]:
    yield _HEAD
    for heading, settings in TABLE.items():
        yield f"\n## {heading}\n"
        if heading in _BEFORE:
            yield f"{_BEFORE[heading]}\n"
        columns, row = _columns(heading)
        yield f"| {' | '.join(('setting', *columns))} |"
        yield "|---" * (len(columns) + 1) + "|"
        for setting in settings:
            yield f"| {' | '.join((f'`{setting.name}`', *row(setting)))} |"
        if heading in _AFTER:
            yield f"\n{_AFTER[heading]}"


def _columns(heading: str) -> tuple[tuple[str, ...], Callable[[Setting[Any]], tuple[str, ...]]]:
    """The columns after the name, and what a setting has in each."""
    if heading == MODEL:
        providers = [name for name, (needed, _) in PROVIDERS.items() if needed]
        return ("what it is", *providers), lambda it: (it.says, *(_wanted(it, name) for name in providers))
    if heading == _REST:
        return ("default", "may be", "what it is"), lambda it: (
            f"`{it.shown}`" if it.shown else "–",
            it.kind.takes,
            it.says,
        )
    return ("what it is", "required"), lambda it: (it.says, it.required)


def _wanted(setting: Setting[Any], provider: str) -> str:
    needed, allowed = PROVIDERS[provider]
    return "yes" if setting in needed else "no" if setting in allowed else "–"


def write(folder: Path = FOLDER, root: Path = ROOT) -> None:
    for name, text in files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    (root / SAMPLE).write_text(sample(), "utf-8")


if __name__ == "__main__":
    write()
