"""``azure.yaml`` and the workflows: known keys, pinned actions, least permissions, no secrets, names that exist."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from mosaic_ops.checks.infra.bicep import BicepFile
from mosaic_ops.checks.infra.evaluation import deploy
from mosaic_ops.checks.infra.wiring import MAIN, PARAMETERS
from mosaic_ops.cli import COMMANDS

AZURE_YAML: Final = "azure.yaml"
WORKFLOWS: Final = ".github/workflows"

_AZD_KEYS: Final = frozenset(
    (
        "name metadata resourceGroup services infra hooks pipeline requiredVersions state platform workflows cloud"
        " resources"
    ).split()
)
_SERVICE_KEYS: Final = frozenset(
    (
        "project language host dist hooks remoteBuild resourceName resourceGroup module apiVersion docker env image"
        " k8s config"
    ).split()
)
_HOOK_NAMES: Final = frozenset(
    f"{when}{what}"
    for when in ("pre", "post")
    for what in "provision deploy package up down infracreate infradelete restore publish build".split()
)
_HOOK_KEYS: Final = frozenset("shell run posix windows continueOnError interactive secrets kind dir".split())

_TOP: Final = frozenset("name run-name on permissions env defaults concurrency jobs".split())
_JOB: Final = frozenset(
    "name permissions needs if runs-on environment concurrency outputs env defaults steps timeout-minutes strategy"
    " continue-on-error container services uses with secrets snapshot".split()
)
_STEP: Final = frozenset(
    "id if name uses run working-directory shell with env continue-on-error timeout-minutes".split()
)
_EVENTS: Final = frozenset(
    (
        "push pull_request schedule workflow_dispatch workflow_call workflow_run release merge_group"
        " repository_dispatch"
    ).split()
)
_INPUT_TYPES: Final = ("string", "boolean", "number", "choice", "environment")
_SCOPES: Final = frozenset(
    "actions attestations checks contents deployments discussions id-token issues models packages pages pull-requests"
    " security-events statuses artifact-metadata".split()
)
_WRITES: Final[Mapping[str, re.Pattern[str]]] = {
    "id-token": re.compile(r"uses: (azure/login|actions/attest|\./)|--oidc"),
    "attestations": re.compile(r"uses: actions/attest"),
    "security-events": re.compile(r"uses: github/codeql-action"),
    "contents": re.compile(r"git push|gh release|uses: softprops/|uses: actions/create-release"),
    "pull-requests": re.compile(r"gh pr"),
    "packages": re.compile(r"docker push|npm publish"),
}
"""What a job may write, and the step that shows that it does."""

_PINNED: Final = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
_COMMAND: Final = re.compile(r"\./mosaic\s+([a-z][\w-]*)")
_VERSION: Final = re.compile(r"#\s*v?\d+(\.\d+)*")
_KNOWN_NAMES: Final = frozenset(
    "AZURE_ENV_NAME AZURE_LOCATION AZURE_SUBSCRIPTION_ID AZURE_TENANT_ID AZURE_PRINCIPAL_ID AZURE_PRINCIPAL_TYPE"
    " AZURE_CLIENT_ID AZURE_RESOURCE_GROUP AZURE_CONFIG_DIR AZURE_CORE_OUTPUT AZURE_CORE_NO_COLOR".split()
)
"""Names that azd, the CLI and the workflows' environments bring along."""


def problems(root: Path, files: Mapping[str, BicepFile]) -> list[str]:
    found = [*_azure_yaml(root, files), *_names(root, files)]
    folder = root / WORKFLOWS
    paths = sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")])
    if not paths:
        found.append(f"{WORKFLOWS}:1: no workflows")
    workflows = {path.name: _Workflow(root, path) for path in paths}
    for workflow in workflows.values():
        found += workflow.problems(workflows)
    return list(dict.fromkeys(found))


# ------------------------------------------------------------------------------------------------------ YAML with lines


@dataclass(frozen=True, slots=True)
class _Tree:
    """A parsed file: `value` as plain data, `lines` by the path of keys and positions that leads to a node."""

    value: Any
    lines: Mapping[tuple[str | int, ...], int]
    twice: tuple[tuple[int, str], ...]

    def line(self, *path: str | int) -> int:
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def _read(text: str) -> _Tree:
    """Raises yaml.YAMLError."""
    lines: dict[tuple[str | int, ...], int] = {}
    twice: list[tuple[int, str]] = []

    def plain(node: yaml.Node | None, path: tuple[str | int, ...]) -> Any:
        if node is None:
            return None
        lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            found: dict[str, Any] = {}
            for key, value in node.value:
                name = str(key.value)
                if name in found:
                    twice.append((key.start_mark.line + 1, name))
                lines[(*path, name)] = key.start_mark.line + 1
                found[name] = plain(value, (*path, name))
            return found
        if isinstance(node, yaml.SequenceNode):
            return [plain(each, (*path, position)) for position, each in enumerate(node.value)]
        return yaml.SafeLoader("").construct_object(node) if node.tag != "tag:yaml.org,2002:timestamp" else node.value

    return _Tree(plain(yaml.compose(text, Loader=yaml.SafeLoader), ()), lines, tuple(twice))


# ----------------------------------------------------------------------------------------------------------- azure.yaml


def _azure_yaml(root: Path, files: Mapping[str, BicepFile]) -> Iterator[str]:
    path = root / AZURE_YAML
    if not path.is_file():
        yield f"{AZURE_YAML}:1: not there"
        return
    try:
        tree = _read(path.read_text("utf-8"))
    except yaml.YAMLError as error:
        yield f"{AZURE_YAML}:1: cannot be parsed: {str(error).splitlines()[0]}"
        return
    top = tree.value if isinstance(tree.value, dict) else {}
    for line, name in tree.twice:
        yield f"{AZURE_YAML}:{line}: {name} is set twice"
    for key in top:
        if key not in _AZD_KEYS:
            yield f"{AZURE_YAML}:{tree.line(key)}: azd knows no {key}"
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", str(top.get("name", ""))):
        yield f"{AZURE_YAML}:{tree.line('name')}: name has to be lower-case letters, digits and hyphens"
    yield from _azd_infra(root, top, tree)
    yield from _azd_services(root, files, top, tree)
    yield from _azd_hooks(root, top.get("hooks"), tree, ("hooks",))


def _azd_infra(root: Path, top: Mapping[str, Any], tree: _Tree) -> Iterator[str]:
    infra = top.get("infra") or {}
    for key in infra:
        if key not in ("provider", "path", "module", "layers", "deploymentStacks"):
            yield f"{AZURE_YAML}:{tree.line('infra', key)}: azd knows no infra.{key}"
    if infra.get("provider", "bicep") != "bicep":
        yield f"{AZURE_YAML}:{tree.line('infra', 'provider')}: the provider has to be bicep"
    entry = f"{infra.get('path', 'infra')}/{infra.get('module', 'main')}.bicep"
    if not (root / entry).is_file():
        yield f"{AZURE_YAML}:{tree.line('infra', 'module')}: {entry} is not there"


def _azd_services(root: Path, files: Mapping[str, BicepFile], top: Mapping[str, Any], tree: _Tree) -> Iterator[str]:
    services = top.get("services") or {}
    if not services:
        yield f"{AZURE_YAML}:1: has no services"
    tagged = {
        text
        for each in (deploy(files, MAIN) if MAIN in files else ())
        if each.type == "Microsoft.Web/sites" and not each.declaration.existing
        for text in each.texts("tags.azd-service-name")
    }
    for name, service in services.items():
        place = ("services", name)
        if not isinstance(service, dict):
            yield f"{AZURE_YAML}:{tree.line(*place)}: {name} is no service"
            continue
        for key in service:
            if key not in _SERVICE_KEYS:
                yield f"{AZURE_YAML}:{tree.line(*place, key)}: azd knows no {key} of a service"
        if name not in tagged:
            yield (
                f"{AZURE_YAML}:{tree.line(*place)}: no site has the tag azd-service-name '{name}'"
                f" ({', '.join(sorted(tagged)) or 'none has one'})"
            )
        for key, allowed in (("host", ("function",)), ("language", ("python", "py"))):
            if service.get(key) not in allowed:
                yield f"{AZURE_YAML}:{tree.line(*place, key)}: {name}.{key} has to be {allowed[0]}"
        if not service.get("project"):
            yield f"{AZURE_YAML}:{tree.line(*place)}: {name} has no project"
        if service.get("remoteBuild") is not False:
            yield (
                f"{AZURE_YAML}:{tree.line(*place, 'remoteBuild')}: {name}.remoteBuild has to be"
                " false: what is built here is deployed"
            )
        yield from _azd_hooks(root, service.get("hooks"), tree, (*place, "hooks"))


def _azd_hooks(root: Path, hooks: Any, tree: _Tree, place: tuple[str | int, ...]) -> Iterator[str]:
    for name, hook in (hooks or {}).items() if isinstance(hooks, dict) else ():
        if name not in _HOOK_NAMES:
            yield f"{AZURE_YAML}:{tree.line(*place, name)}: azd knows no hook {name}"
        for one, step in ((position, each) for position, each in enumerate(hook if isinstance(hook, list) else [hook])):
            at = (*place, name, one) if isinstance(hook, list) else (*place, name)
            if not isinstance(step, dict):
                yield f"{AZURE_YAML}:{tree.line(*at)}: the hook {name} is no hook"
                continue
            for key in step:
                if key not in _HOOK_KEYS:
                    yield f"{AZURE_YAML}:{tree.line(*at, key)}: azd knows no {key} of a hook"
            for part in (step, step.get("posix") or {}):
                run = part.get("run") if isinstance(part, dict) else None
                if isinstance(run, str):
                    line = tree.line(*at, "run")
                    for script in _scripts(run):
                        yield from _script(root, AZURE_YAML, line, script)
                    for command in _COMMAND.findall(run):
                        if command not in COMMANDS:
                            yield f"{AZURE_YAML}:{line}: ./mosaic has no command {command}"


def _scripts(run: str) -> Iterator[str]:
    """Files of the checkout that a command starts."""
    for line in run.splitlines():
        for found in re.findall(r"(?:^|[\s;&|(])((?:\./)?(?:infra|\.ci|scripts)/[\w./-]+|\./mosaic|\.ci/[\w-]+)", line):
            yield found.removeprefix("./")


def _script(root: Path, name: str, line: int, script: str) -> Iterator[str]:
    path = root / script
    if script.endswith((".bicep", ".json", ".md", "/")) or path.is_dir():
        if not path.exists():
            yield f"{name}:{line}: {script} is not there"
        return
    if not path.is_file():
        yield f"{name}:{line}: {script} is not there"
    elif not os.access(path, os.X_OK):
        yield f"{name}:{line}: {script} cannot be executed (git update-index --chmod=+x)"


def _names(root: Path, files: Mapping[str, BicepFile]) -> Iterator[str]:
    """``AZURE_…`` and ``MOSAIC_…`` that scripts, hooks and workflows read are given by somebody."""
    main = files.get(MAIN)
    given = set(_KNOWN_NAMES) | (set(main.outputs) if main else set())
    with contextlib.suppress(OSError):
        given |= set(re.findall(r"\$\{([A-Z_0-9]+)", (root / PARAMETERS).read_text("utf-8")))
    texts = [root / AZURE_YAML, *sorted((root / WORKFLOWS).glob("*.yml")), *sorted((root / "infra").rglob("*.sh"))]
    texts += sorted(path for path in (root / ".ci").glob("*") if path.is_file())
    for path in texts:
        if not path.is_file():
            continue
        name = path.relative_to(root).as_posix()
        text = path.read_text("utf-8", "replace")
        own = set(re.findall(r"(?:^|[\s;(])(?:export\s+|local\s+)?(AZURE_[A-Z_0-9]+)=", text, re.MULTILINE))
        for number, line in enumerate(text.splitlines(), start=1):
            if line.lstrip().startswith("#"):
                continue
            for found in re.findall(r"(?:\$\{?|vars\.|env\.|get-value )(AZURE_[A-Z_0-9]+)", line):
                if found not in given and found not in own:
                    yield f"{name}:{number}: {found} is no output of {MAIN}, and nobody else gives it"


# ------------------------------------------------------------------------------------------------------------ workflows


class _Workflow:
    def __init__(self, root: Path, path: Path) -> None:
        self._root = root
        self.name = path.relative_to(root).as_posix()
        self._text = path.read_text("utf-8")
        self._lines = self._text.splitlines()
        self._error = ""
        try:
            self.tree = _read(self._text)
        except yaml.YAMLError as error:
            self._error = str(error).splitlines()[0]
            self.tree = _Tree({}, {}, ())
        self.top: Mapping[str, Any] = self.tree.value if isinstance(self.tree.value, dict) else {}
        jobs = self.top.get("jobs")
        self.jobs: Mapping[str, Mapping[str, Any]] = (
            {name: job for name, job in jobs.items() if isinstance(job, dict)} if isinstance(jobs, dict) else {}
        )

    @property
    def events(self) -> Mapping[str, Any]:
        # YAML 1.1 reads a bare `on` as true; the tree keeps keys as they are written
        on = self.top.get("on")
        if isinstance(on, dict):
            return on
        return dict.fromkeys([str(each) for each in (on if isinstance(on, list) else [on]) if each])

    def _say(self, what: str, *path: str | int) -> str:
        return f"{self.name}:{self.tree.line(*path)}: {what}"

    def problems(self, others: Mapping[str, _Workflow]) -> Iterator[str]:
        if self._error:
            yield f"{self.name}:1: cannot be parsed: {self._error}"
            return
        for line, name in self.tree.twice:
            yield f"{self.name}:{line}: {name} is set twice"
        for key in self.top:
            if key not in _TOP:
                yield self._say(f"a workflow has no {key}", key)
        if not self.jobs:
            yield self._say("has no jobs")
        yield from self._triggers()
        yield from self._permissions(self.top.get("permissions"), ("permissions",), "")
        yield from self._pins()
        yield from self._secrets()
        for name, job in self.jobs.items():
            yield from self._job(name, job, others)
        yield from self._environments()
        yield from self._inputs()
        if (
            "deploy" in self._text.lower()
            and "workflow_call" not in self.events
            and any(word in self._text for word in ("azure/login", "environment.yml"))
        ):
            concurrency = self.top.get("concurrency")
            if not isinstance(concurrency, dict) or concurrency.get("cancel-in-progress") is not False:
                yield self._say(
                    "a deployment is not to be cancelled half-way: concurrency with cancel-in-progress: false",
                    "concurrency",
                )

    def _inputs(self) -> Iterator[str]:
        """What is handed over is used."""
        for event in ("workflow_call", "workflow_dispatch"):
            declared = self.events.get(event)
            for name in (declared.get("inputs") or {}) if isinstance(declared, dict) else ():
                if not re.search(rf"inputs\.{re.escape(name)}\b", self._text):
                    yield self._say(f"input {name} is used by nothing", "on", event, "inputs", name)

    def _environments(self) -> Iterator[str]:
        """Jobs that call one workflow for several environments hand over the same package, production after staging."""
        calls: dict[str, dict[str, tuple[str, Mapping[str, Any]]]] = {}
        for name, job in self.jobs.items():
            given = job.get("with") or {}
            if "uses" in job and "environment" in given:
                calls.setdefault(str(job["uses"]), {})[str(given["environment"])] = (name, given)
        for environments in calls.values():
            if "production" not in environments:
                continue
            name, given = environments["production"]
            staging = environments.get("staging")
            if staging is None or staging[0] not in self._before(name):
                yield self._say("production does not wait for staging", "jobs", name)
                continue
            for key in ("digest", "package"):
                if staging[1].get(key) != given.get(key):
                    yield self._say(f"production gets another {key} than staging", "jobs", name, "with", key)

    def _before(self, name: str) -> set[str]:
        found: set[str] = set()
        ahead = [name]
        while ahead:
            needs = self.jobs.get(ahead.pop(), {}).get("needs") or []
            for need in [needs] if isinstance(needs, str) else needs:
                if need not in found:
                    found.add(need)
                    ahead.append(need)
        return found

    def _triggers(self) -> Iterator[str]:
        if not self.events:
            yield self._say("is started by nothing (on)")
        for event in self.events:
            if event == "pull_request_target":
                yield self._say("pull_request_target runs a stranger's code with our rights", "on", event)
            elif event not in _EVENTS:
                yield self._say(f"no event {event}", "on", event)
            declared = self.events[event]
            inputs = declared.get("inputs") if isinstance(declared, dict) else None
            for name, one in (inputs or {}).items():
                if isinstance(one, dict) and one.get("type", "string") not in _INPUT_TYPES:
                    yield self._say(f"input {name}: no type {one['type']}", "on", event, "inputs", name, "type")

    def _permissions(self, permissions: Any, path: tuple[str | int, ...], job_text: str) -> Iterator[str]:
        is_top = path == ("permissions",)
        if permissions is None:
            if is_top:
                yield self._say("has no permissions: without them the token may do everything", "name")
            return
        if not isinstance(permissions, dict):
            yield self._say(f"permissions: {permissions} is more than is needed: name them", *path)
            return
        for scope, right in permissions.items():
            at = (*path, scope)
            if scope not in _SCOPES:
                yield self._say(f"no permission {scope}", *at)
            elif right not in ("read", "write", "none"):
                yield self._say(f"permission {scope}: {right} is none of read, write, none", *at)
            elif right == "write":
                if is_top:
                    yield self._say(
                        f"permission {scope}: write for every job: ask for it in the one that needs it", *at
                    )
                elif not (shown := _WRITES.get(scope)) or not shown.search(job_text):
                    yield self._say(f"permission {scope}: write, which no step of the job needs", *at)

    def _pins(self) -> Iterator[str]:
        """By digest, with the version in a comment."""
        for number, line in enumerate(self._lines, start=1):
            found = re.match(r"\s*(?:-\s+)?uses:\s*(\S+)(.*)", line)
            if found is None or found[1].startswith("./"):
                continue
            if not _PINNED.fullmatch(found[1].strip("'\"")):
                yield f"{self.name}:{number}: {found[1]} is not pinned by a commit's digest"
            elif not _VERSION.match(found[2].strip()):
                yield (
                    f"{self.name}:{number}: {found[1].partition('@')[0]}: which version this is has"
                    " to stand in a comment"
                )

    def _secrets(self) -> Iterator[str]:
        for number, line in enumerate(self._lines, start=1):
            for name in re.findall(r"secrets\.(\w+)", line):
                if name != "GITHUB_TOKEN":
                    yield (
                        f"{self.name}:{number}: the secret {name}: Azure is reached by OpenID"
                        " Connect, nothing else is needed"
                    )
            if re.match(r"\s*secrets:\s*inherit", line):
                yield f"{self.name}:{number}: secrets: inherit hands every secret on"
            if found := re.match(
                r"\s*(?:-\s+)?([\w-]*(?:password|client-secret|creds|publish-profile))\s*:\s*\S", line, re.IGNORECASE
            ):
                yield f"{self.name}:{number}: {found[1]}: Azure is reached by OpenID Connect, nothing else is needed"

    # ------------------------------------------------------------------------------------------------------------ jobs

    def _job(self, name: str, job: Mapping[str, Any], others: Mapping[str, _Workflow]) -> Iterator[str]:
        path = ("jobs", name)
        for key in job:
            if key not in _JOB:
                yield self._say(f"job {name} has no {key}", *path, key)
        text = self._text_of(name)
        yield from self._permissions(job.get("permissions"), (*path, "permissions"), text)
        needs = job.get("needs") or []
        for need in [needs] if isinstance(needs, str) else needs:
            if need not in self.jobs:
                yield self._say(f"job {name} needs {need}, which is no job", *path, "needs")
        yield from self._references(name, job, [needs] if isinstance(needs, str) else list(needs))
        if "uses" in job:
            yield from self._called(name, job, others)
            return
        if "runs-on" not in job:
            yield self._say(f"job {name} runs on nothing (runs-on)", *path)
        if not isinstance(job.get("timeout-minutes"), int):
            yield self._say(f"job {name} has no timeout-minutes", *path)
        steps = job.get("steps")
        if not isinstance(steps, list) or not steps:
            yield self._say(f"job {name} has no steps", *path)
            return
        for position, step in enumerate(steps):
            if isinstance(step, dict):
                yield from self._step(name, step, (*path, "steps", position))
            else:
                yield self._say(f"job {name}: this is no step", *path, "steps", position)

    def _text_of(self, name: str) -> str:
        """The job's lines."""
        first = self.tree.line("jobs", name)
        later = [self.tree.line("jobs", other) for other in self.jobs]
        last = min((line for line in later if line > first), default=len(self._lines) + 1)
        return "\n".join(self._lines[first - 1 : last - 1])

    def _references(self, name: str, job: Mapping[str, Any], needs: list[str]) -> Iterator[str]:
        ids = {step.get("id") for step in job.get("steps") or [] if isinstance(step, dict)}
        inputs = self.events.get("workflow_call") or {}
        declared = set((inputs.get("inputs") or {}) if isinstance(inputs, dict) else {})
        by_hand = self.events.get("workflow_dispatch") or {}
        declared |= set((by_hand.get("inputs") or {}) if isinstance(by_hand, dict) else {})
        first = self.tree.line("jobs", name)
        for number, line in enumerate(self._text_of(name).splitlines(), start=first):
            for expression in re.findall(r"\$\{\{(.*?)\}\}", line):
                for other, output in re.findall(r"needs\.([\w-]+)\.outputs\.([\w-]+)", expression):
                    if other not in needs:
                        yield f"{self.name}:{number}: {other} is not among what {name} needs"
                    elif output not in (self.jobs.get(other, {}).get("outputs") or {}):
                        yield f"{self.name}:{number}: job {other} has no output {output}"
                for step in re.findall(r"steps\.([\w-]+)\.", expression):
                    if step not in ids:
                        yield f"{self.name}:{number}: no step of {name} has the id {step}"
                for given in re.findall(r"inputs\.([\w-]+)", expression):
                    if given not in declared:
                        yield f"{self.name}:{number}: {given} is no input of this workflow"

    def _called(self, name: str, job: Mapping[str, Any], others: Mapping[str, _Workflow]) -> Iterator[str]:
        path = ("jobs", name)
        for key in ("steps", "runs-on", "timeout-minutes", "environment"):
            if key in job:
                yield self._say(f"job {name} calls a workflow and has no {key} of its own", *path, key)
        target = str(job["uses"])
        called = others.get(target.rpartition("/")[2]) if target.startswith("./") else None
        if target.startswith("./") and called is None:
            yield self._say(f"job {name} calls {target}, which is not there", *path, "uses")
        if called is None:
            return
        if "workflow_call" not in called.events:
            yield self._say(f"{called.name} is not made to be called (workflow_call)", *path, "uses")
            return
        call = called.events["workflow_call"]
        inputs: Mapping[str, Any] = (call.get("inputs") or {}) if isinstance(call, dict) else {}
        given = job.get("with") or {}
        for key in given:
            if key not in inputs:
                yield self._say(f"{called.name} has no input {key}", *path, "with", key)
        for key, declared in inputs.items():
            if declared.get("required") and key not in given:
                yield self._say(f"job {name} gives no {key} to {called.name}", *path)
        asked = {
            scope: right for each in called.jobs.values() for scope, right in (each.get("permissions") or {}).items()
        }
        own = job.get("permissions")
        if isinstance(own, dict):
            for scope, right in asked.items():
                if own.get(scope) != right and not (right == "read" and own.get(scope) == "write"):
                    yield self._say(f"job {name}: {called.name} needs {scope}: {right}", *path)
            for scope, right in own.items():
                if right == "write" and asked.get(scope) != "write":
                    yield self._say(
                        f"job {name}: permission {scope}: write, which {called.name} does not ask for",
                        *path,
                        "permissions",
                        scope,
                    )

    def _step(self, job: str, step: Mapping[str, Any], path: tuple[str | int, ...]) -> Iterator[str]:
        for key in step:
            if key not in _STEP:
                yield self._say(f"a step has no {key}", *path, key)
        if ("uses" in step) == ("run" in step):
            yield self._say("a step either uses an action or runs something", *path)
        run = step.get("run")
        if isinstance(run, str):
            if "${{" in run:
                yield self._say("an expression within a script: hand it over by env", *path, "run")
            yield from self._commands(run, self.tree.line(*path, "run"))
        uses = str(step.get("uses", ""))
        if uses.startswith("actions/checkout@"):
            kept = (step.get("with") or {}).get("persist-credentials")
            if kept is not False and "git push" not in self._text_of(job):
                yield self._say("checkout leaves its token behind: persist-credentials: false", *path)
        if uses.startswith("azure/login@"):
            for key in ("client-id", "tenant-id", "subscription-id"):
                if key not in (step.get("with") or {}):
                    yield self._say(f"azure/login without {key}", *path)
            if "environment" not in self.jobs[job]:
                yield self._say(
                    f"job {job} signs in to Azure outside of an environment, whose rules hold it back", *path
                )
            permissions = self.jobs[job].get("permissions") or self.top.get("permissions") or {}
            if not isinstance(permissions, dict) or permissions.get("id-token") != "write":
                yield self._say(f"job {job} signs in to Azure without permission id-token: write", *path)

    def _commands(self, run: str, line: int) -> Iterator[str]:
        for script in _scripts(run):
            yield from _script(self._root, self.name, line, script)
        for command in _COMMAND.findall(run):
            if command not in COMMANDS:
                yield f"{self.name}:{line}: ./mosaic has no command {command}"
        joined = re.sub(r"\\\n\s*", " ", run)
        for each in joined.splitlines():
            if "functionapp publish" in each and "--no-build" not in each:
                yield f"{self.name}:{line}: what was built is published: func … publish --no-build"
            if "config-zip" in each and not re.search(r"--build-remote[ =]false", each):
                yield f"{self.name}:{line}: what was built is published: config-zip --build-remote false"
            if re.search(r"(curl|wget)\b.*\|\s*(ba|z)?sh\b", each):
                yield f"{self.name}:{line}: a script from the network is run as it comes"
