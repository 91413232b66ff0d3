"""The command line: finds the command's module, imports that and nothing else, runs it.

Help and mistyped commands therefore answer at once. Exit codes: 0 fine, 1 the thing looked for is not so, 2 usage,
3 not reachable.
"""

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from typing import Final

EXIT_USAGE: Final = 2
EXIT_UNREACHABLE: Final = 3


@dataclass(frozen=True)
class Command:
    """One word of the command line. `module` has a typer application `app`, or a function `main(arguments) -> int`."""

    module: str
    help: str
    group: str
    is_group: bool = False
    """Whether further commands follow (`./mosaic ops status`); else `app` contains the command under its own name."""


COMMANDS: Final[dict[str, Command]] = {
    "demo": Command(
        "mosaic_local.demo", "Start the stack, drive the main job on the sample household, check it", "Run"
    ),
    "up": Command("mosaic_local.cli", "Serve API, console, worker and emulators until Ctrl-C", "Run"),
    "env": Command("mosaic_local.cli", "The running stack's settings, as an app would need them", "Run"),
    "token": Command("mosaic_local.cli", "A bearer token of the running stack's issuer", "Run"),
    "issuer": Command("mosaic_local.cli", "The issuer alone, with sample members in Azurite, for `func start`", "Run"),
    "ops": Command("mosaic_ops.ops.main", "Operate the stack or a deployment", "Operate"),
    "policy": Command(
        "mosaic_ops.policy", "The policy's rules; what a changed file would have decided", "Operate", is_group=True
    ),
    "backup": Command("mosaic_ops.backup", "The tables as files, and back: export, restore, verify", "Operate"),
    "costs": Command("mosaic_ops.costs", "What a million commands ask of each service, and its cost", "Operate"),
    "package": Command("mosaic_ops.packaging.command", "Build what is deployed: folder, zip, manifest, SBOM", "Deploy"),
    "publish": Command("mosaic_ops.publishing", "Publish the package, again while Azure is not ready for it", "Deploy"),
    "smoke": Command("mosaic_ops.smoke.command", "Whether what is deployed does what the package says", "Deploy"),
    "test": Command("mosaic_ops.testing", "Run the tests: [--slow] [pytest arguments]", "Develop"),
    "check": Command(
        "mosaic_ops.checks.command", "Format, lint, types, layers, secrets, pins, infrastructure", "Develop"
    ),
    "bench": Command("bench.__main__", "The benchmarks, as a table and bench.json", "Develop"),
    "eval": Command("mosaic_ops.evaluations", "Labelled evaluations of the agents", "Develop", is_group=True),
    "chaos": Command("mosaic_local.chaos", "The chaos soak", "Develop"),
    "pin": Command("mosaic_ops.pinning", "Compile requirements/*.in into the pinned files", "Develop"),
}


def main(arguments: list[str] | None = None) -> int:
    """Runs one command. `arguments` are those after the program's name. Returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    name = arguments[0] if arguments else "--help"
    if name in ("--help", "-h", "help"):
        print(_help())
        return 0
    if name in ("--version", "version"):
        print(f"mosaic {_version()}")
        return 0
    command = COMMANDS.get(name)
    if command is None:
        print(f"mosaic: no such command: {name}{_suggestion(name)}\nTry ./mosaic --help", file=sys.stderr)
        return EXIT_USAGE
    if not _exists(command.module):
        print(f"mosaic: `{name}` is not in this release", file=sys.stderr)
        return EXIT_USAGE
    return _run(name, command, arguments[1:])


def _run(name: str, command: Command, rest: list[str]) -> int:
    try:
        module = importlib.import_module(command.module)
        if hasattr(module, "main"):
            return int(module.main(rest) or 0)
        module.app(
            args=rest if command.is_group else [name, *rest],
            prog_name=f"mosaic {name}" if command.is_group else "mosaic",
        )
    except SystemExit as stop:
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
            return 1
        return stop.code or 0
    except KeyboardInterrupt:
        return 130
    except ConnectionError as error:
        print(f"mosaic: not reachable: {error}", file=sys.stderr)
        return EXIT_UNREACHABLE
    return 0


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _has_file(module: str) -> bool:
    """Whether this release has it, without the import of its package that the import system would do."""
    from pathlib import Path

    path = Path(__file__).resolve().parent.parent.joinpath(*module.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _version() -> str:
    """From pyproject.toml, which is the one place that says it."""
    import tomllib
    from pathlib import Path

    with (Path(__file__).resolve().parent.parent / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def _suggestion(name: str) -> str:
    import difflib

    close = difflib.get_close_matches(name, COMMANDS, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _help() -> str:
    lines = ["Usage: ./mosaic COMMAND [arguments]", "", "Mosaic Money's runtime agentic worker.", ""]
    here = {name: command for name, command in COMMANDS.items() if _has_file(command.module)}
    for group in dict.fromkeys(command.group for command in here.values()):
        lines.append(f"{group}:")
        lines += [f"  {name:<7} {command.help}" for name, command in here.items() if command.group == group]
        lines.append("")
    lines.append("./mosaic COMMAND --help says more. Exit codes: 0 fine, 1 not so, 2 usage, 3 not reachable.")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
