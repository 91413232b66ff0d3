"""A stranger follows docs/deploy.md on paper: no value, permission or wait that is not in it."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from collections.abc import Iterator

import pytest

from mosaic_ops.cli import COMMANDS
from tests.support import bicep
from tests.support.documents import ROOT, Block, blocks, read

GUIDE = "docs/deploy.md"
WITH_TOOLS = {"azure": (GUIDE, "docs/backup.md"), "docker": ("docs/local.md",)}
"""Commands that no test can run, by what they need, and the documents that show some."""

TEXT = read(GUIDE)
PROGRAMS = {
    "az",
    "azd",
    "func",
    "docker",
    "jq",
    "curl",
    "python3",
    "date",
    "cp",
    "mkdir",
    "cd",
    "export",
    "for",
    "done",
}
SCRIPTS = re.compile(r"^(\./mosaic|infra/scripts/[\w.-]+\.sh)$")
OF_THE_SHELL = {"provider", "role"}
ROLES = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
    "090c5cfd-751d-490a-894a-3ce6f1109419": "Service Bus Data Owner",
    "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0": "Service Bus Data Receiver",
    "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39": "Service Bus Data Sender",
    "a638d3c7-ab3a-418d-83e6-5f17a39d4fde": "Event Hubs Data Receiver",
    "2b629674-e913-4c01-ae53-ef4638d8f975": "Event Hubs Data Sender",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
    "73c42c96-874c-492b-b04d-ab87d138a893": "Log Analytics Reader",
}
"""Of Azure: id and name."""

NEED_AZURE: frozenset[str] = frozenset(
    {
        "./mosaic backup export",
        "./mosaic backup restore",
        "./mosaic package",
        "./mosaic publish",
        "./mosaic smoke",
        "az account get-access-token",
        "az account set",
        "az ad app create",
        "az ad app federated-credential create",
        "az ad sp create",
        "az ad sp show",
        "az ad signed-in-user show",
        "az deployment sub create",
        "az deployment sub show",
        "az deployment sub what-if",
        "az functionapp deployment source config-zip",
        "az functionapp function list",
        "az functionapp list-flexconsumption-locations",
        "az functionapp list-flexconsumption-runtimes",
        "az login",
        "az provider register",
        "az role assignment create",
        "az role assignment delete",
        "az storage account show",
        "az storage blob download-batch",
        "az storage blob upload-batch",
        "az storage entity insert",
        "azd auth login",
        "azd env get-values",
        "azd env new",
        "azd env set",
        "azd up",
        "curl",
        "func azure functionapp publish",
        "infra/scripts/register-entra-app.sh",
        "infra/scripts/update-strategy.sh",
    }
)
"""Commands of blocks that need Azure: what no test here can run."""


def elsewhere() -> Iterator[Block]:
    for needs, documents in WITH_TOOLS.items():
        for document in documents:
            yield from (block for block in blocks(document) if block.needs == needs)


ELSEWHERE = list(elsewhere())


def templates() -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / "infra").rglob("*.bicep"))


# -------------------------------------------------------------------------------------------------------------- values


def test_the_table_of_parameters_is_the_template_s() -> None:
    shown = TEXT.partition(bicep.BEGIN)[2].partition(bicep.END)[0]
    assert shown == bicep.HEAD + bicep.rows(), "run python -m tests.support.bicep"


def test_azd_gives_every_parameter_and_no_other() -> None:
    main = [parameter.name for parameter in bicep.parameters("infra/main.bicep")]
    assert list(bicep.azd_values()) == main
    assert len(set(bicep.azd_values().values())) == len(main)


def test_the_template_of_a_resource_group_takes_the_same() -> None:
    """All but the group's own name, which is there already; the same defaults and bounds."""
    main = {p.name: p for p in bicep.parameters("infra/main.bicep") if p.name != "resourceGroupName"}
    alone = {p.name: p for p in bicep.parameters("infra/resources.bicep")}
    assert set(alone) == set(main)
    for name, parameter in alone.items():
        assert parameter.bounds == main[name].bounds, name
        assert parameter.type == main[name].type, name


def test_required_parameters_are_given_by_hand_by_azd_and_by_the_workflow() -> None:
    needed = {p.name for p in bicep.parameters("infra/main.bicep") if p.default is None}
    created = next(block.text for block in blocks(GUIDE) if "deployment sub create" in block.text)
    assert needed <= set(re.findall(r"(\w+)=\"", created))
    values = bicep.azd_values()
    azd = next(block.text for block in blocks(GUIDE) if "azd up" in block.text)
    by_azd_itself = {"environmentName": "azd env new", "location": "--location"}
    for name in needed:
        assert f"azd env set {values[name]} " in azd or by_azd_itself[name] in azd, name
    (row,) = [line for line in TEXT.splitlines() if line.startswith("| `INFRA_PARAMETERS`")]
    assert {f"`{name}`" for name in needed} <= set(re.findall(r"`\w+`", row))


def test_the_workflow_takes_no_variable_that_the_guide_does_not_name() -> None:
    workflow = read(".github/workflows/environment.yml")
    named = set(re.findall(r"\$\{\{ vars\.(\w+) \}\}", workflow))
    rows = {line.split("`")[1] for line in TEXT.splitlines() if re.match(r"\| `[A-Z_]+` \| .*GitHub", line)}
    assert named == rows
    for environment in ("staging", "production-plan", "production"):
        assert f"`{environment}`" in TEXT


@pytest.mark.parametrize("document", sorted({block.document for block in ELSEWHERE}))
def test_no_variable_is_used_before_it_is_told(document: str) -> None:
    """Set by a block before, an output of the template, or in the guide's tables."""
    outputs = set(re.findall(r"^output ([A-Z_]+) ", read("infra/main.bicep"), re.MULTILINE))
    tables = {line.split("`")[1] for line in TEXT.splitlines() if re.match(r"\| `[A-Z_]+` \|", line)}
    registered = set(re.findall(r"^keep (\w+) ", read("infra/scripts/register-entra-app.sh"), re.MULTILINE))
    known = outputs | tables | registered | OF_THE_SHELL
    for block in blocks(document):
        if not (block.needs or block.is_commands):
            continue
        known |= set(re.findall(r"(?:^|[\s(;])(\w+)=", block.text)) | {"TablesConnection", "StateDir"}
        assert set(re.findall(r"\$\{?([A-Za-z_]\w*)", block.text)) <= known, block


# ------------------------------------------------------------------------------------------------------------ commands


@pytest.mark.parametrize("block", ELSEWHERE, ids=str)
def test_a_block_that_no_test_runs_is_a_shell_s_all_the_same(block: Block) -> None:
    checked = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("block", ELSEWHERE, ids=str)
def test_it_needs_what_it_says_and_its_own_commands_are_there(block: Block) -> None:
    programs = {words[0] for words in commands(block.text)}
    assert programs <= PROGRAMS | {"."} | {p for p in programs if SCRIPTS.match(p)}, block
    needs = {"azure": {"az", "azd", "func", "./mosaic", "infra/scripts/update-strategy.sh", "curl"}}
    assert programs & needs.get(block.needs, programs), f"{block}: a test could run this"
    for words in commands(block.text):
        if words[0] == "./mosaic":
            # the two of the package come with it
            assert words[1] in COMMANDS or words[1] in {"package", "publish", "smoke"}, block
        elif SCRIPTS.match(words[0]):
            assert (ROOT / words[0]).stat().st_mode & 0o111, words[0]


def commands(text: str) -> list[list[str]]:
    """The words of each simple command of a block; what stands in quotes is one word, ``X``."""
    text = re.sub(r"\\\n", " ", text)
    text = re.sub(r"'[^']*'", "X", text)
    text = re.sub(r'"[^"]*"', "X", text)
    found = []
    for part in re.split(r"[\n;|]|&&|\$\(|(?:^|(?<=\s))\(", text):
        words = part.replace(")", " ").split()
        while words and (re.match(r"\w+=", words[0]) or words[0] == "do"):
            words.pop(0)
        if words:
            found.append(words)
    return found


def test_commands_are_taken_apart_as_a_shell_does() -> None:
    text = (
        "A=$(az x --y 'a b' | python3 -c '\nz') && export A\n(cd d && func f)\nfor x in a; do\n  az p \\\n   q\ndone\n"
    )
    assert [words[0] for words in commands(text)] == ["az", "python3", "export", "cd", "func", "for", "az", "done"]


def test_what_needs_azure_is_this() -> None:
    """The whole of what the guide and the backup show and no test runs: one command more is a decision, not a slip."""
    shown = {
        " ".join(itertools.takewhile(lambda word: re.fullmatch(r"[a-z][a-z-]*|[./]\S+|infra/\S+", word), words))
        for block in ELSEWHERE
        if block.needs == "azure"
        for words in commands(block.text)
        if words[0] in {"az", "azd", "func", "./mosaic", "curl"} or SCRIPTS.match(words[0])
    }
    assert shown == NEED_AZURE


# -------------------------------------------------------------------------------------------------- rights, providers


def test_every_resource_provider_is_registered() -> None:
    needed = set().union(*(bicep.resource_providers(read(file)) for file in templates()))
    always_there = {"Microsoft.Authorization", "Microsoft.Resources"}
    (loop,) = [line for line in TEXT.splitlines() if line.startswith("for provider in ")]
    listed = set(re.findall(r"Microsoft\.\w+", loop))
    # the subnet is delegated to Microsoft.App/environments, which is no resource of ours
    assert listed == (needed - always_there) | {"Microsoft.App"}


def test_every_role_is_in_the_security_model() -> None:
    listed = {line.split(" | ")[0].strip("| ") for line in read("docs/security.md").splitlines() if " Data " in line}
    assigned = re.findall(r"^  \w+: '([0-9a-f-]{36})'$", read("infra/modules/roles.bicep"), re.MULTILINE)
    names = {ROLES[role] for role in assigned}
    document = read("docs/security.md")
    assert {name for name in names if f"| {name} |" not in document} == set()
    assert {name for name in listed if re.fullmatch(r"(Storage|Service Bus|Event Hubs) [\w ]+", name)} <= names


def test_the_tools_have_the_versions_that_are_pinned_elsewhere() -> None:
    container = json.loads(read(".devcontainer/devcontainer.json"))
    features = {feature.rsplit("/", 1)[1].split(":")[0]: options for feature, options in container["features"].items()}
    assert f"| Azure CLI | {features['azure-cli']['version']} or later |" in TEXT
    assert f"| azd | {features['azd']['version']} or later |" in TEXT
    tools = re.search(r"azure-functions-core-tools@([\d.]+)", container["postCreateCommand"])
    assert tools is not None
    assert f"| Core Tools (`func`) | {tools[1]} or later |" in TEXT
    versions = set(re.findall(r"v0\.\d+\.\d+", TEXT + read(".github/workflows/ci.yml")))
    assert len(versions) == 1


@pytest.mark.parametrize(
    "said",
    ["143", "403", "503", "Log streaming", "Recreate", "no function at all", "minutes", "RollingUpdate", "azd down"],
)
def test_what_puzzles_at_night_is_told(said: str) -> None:
    assert said in TEXT
