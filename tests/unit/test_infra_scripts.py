"""The scripts beside the Bicep files, against a directory of the tests' own in place of `az`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mosaic_core.config import Settings
from tests.support import entra

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "infra" / "scripts"
ROLES = ("Mosaic.Ingest", "Mosaic.Operator.Read", "Mosaic.Operator.Replay", "Mosaic.Operator.Admin")
PERSON = "d0d0d0d0-1111-2222-3333-444444444444"


class Az:
    """`az` and `azd` on the PATH of a script."""

    def __init__(self, folder: Path) -> None:
        self.state_file = folder / "state.json"
        self.state_file.write_text(json.dumps({"assignments": []}))
        self._path = folder / "bin"
        self._path.mkdir()
        for name, does in (("az", f'exec {sys.executable} {entra.__file__} "$@"'), ("azd", 'echo "ran azd $*" >&2')):
            (self._path / name).write_text(f"#!/bin/sh\n{does}\n")
            (self._path / name).chmod(0o755)

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.state_file.read_text())
        return found

    def run(self, script: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        path = f"{self._path}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            [SCRIPTS / script, *arguments],
            env={"PATH": path, "ENTRA_STATE": str(self.state_file), **environ},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def az(tmp_path: Path) -> Az:
    return Az(tmp_path)


def ran(told: str) -> list[str]:
    return [line for line in told.splitlines() if line.startswith("ran ")]


def test_the_registration_has_the_contracts_roles_and_lets_people_sign_in(az: Az) -> None:
    done = az.run("register-entra-app.sh", "--name", "Runtime (test)")

    assert done.returncode == 0, done.stderr
    app = az.state["app"]
    assert app["name"] == "Runtime (test)"
    assert tuple(role["value"] for role in app["roles"]) == ROLES
    assert len({role["id"] for role in app["roles"]}) == len(ROLES)
    assert all(role["isEnabled"] and role["allowedMemberTypes"] == ["User", "Application"] for role in app["roles"])
    assert app["identifierUris"] == [f"api://{entra.APP}"]
    (scope,) = app["api"]["oauth2PermissionScopes"]
    (client,) = app["api"]["preAuthorizedApplications"]
    assert scope["value"] == "access_as_user"
    assert client["delegatedPermissionIds"] == [scope["id"]]
    assert az.state["principal"] == entra.PRINCIPAL


def test_the_roles_are_those_of_the_contract() -> None:
    contract = (ROOT / "docs" / "contract.md").read_text("utf-8")
    assert set(re.findall(r"`(Mosaic\.(?:Ingest|Operator\.\w+))`", contract)) == set(ROLES)


def test_what_it_prints_is_what_the_app_reads(az: Az) -> None:
    printed = dict(line.split("=", 1) for line in az.run("register-entra-app.sh").stdout.splitlines())

    connection = "Endpoint=sb://b;SharedAccessKeyName=n;SharedAccessKey=k"
    settings = Settings.from_env(
        {
            "ServiceBusConnection": connection,
            "EventHubsConnection": connection,
            "TablesConnection": "UseDevelopmentStorage=true",
            "BlobsConnection": "UseDevelopmentStorage=true",
            "Auth__Issuer": printed["MOSAIC_AUTH_ISSUER"],
            "Auth__Audience": printed["MOSAIC_AUTH_AUDIENCE"],
            "Auth__JwksUri": printed["MOSAIC_AUTH_JWKS_URI"],
        }
    )
    # version 2 tokens: the issuer is the authority's v2.0, the audience the application's id alone
    assert az.state["app"]["api"]["requestedAccessTokenVersion"] == 2
    assert settings.auth.issuer == f"https://login.example/{entra.TENANT}/v2.0"
    assert settings.auth.audience == entra.APP
    assert settings.auth.jwks_uri == f"https://login.example/{entra.TENANT}/discovery/v2.0/keys"


def test_each_change_is_printed_before_it_is_made(az: Az) -> None:
    told = az.run("register-entra-app.sh", "--azd", "--assign", f"Mosaic.Operator.Read={PERSON}").stderr.splitlines()

    printed = [line for line in told if line.startswith(("+ ", "ran "))]
    assert len(printed) >= 2 * 8
    for before, after in zip(printed[::2], printed[1::2], strict=True):
        assert before.startswith("+ ")
        assert after.startswith("ran ")
        assert before.split()[1:3] == ["az", after.split()[1]] or after.startswith("ran azd env set")


def test_a_dry_run_prints_the_same_commands_and_runs_none(az: Az) -> None:
    arguments = ("--azd", "--assign", f"Mosaic.Operator.Read={PERSON}")
    dry = az.run("register-entra-app.sh", *arguments, "--dry-run")

    assert dry.returncode == 0
    assert ran(dry.stderr) == []
    assert az.state == {"assignments": []}
    wet = az.run("register-entra-app.sh", *arguments)
    commands = [[line.split()[:4] for line in run.stderr.splitlines() if line.startswith("+ ")] for run in (dry, wet)]
    assert commands[0] == commands[1]
    assert commands[0]


def test_repeating_it_changes_nothing(az: Az) -> None:
    arguments = ("--assign", f"Mosaic.Operator.Read={PERSON.upper()}", "--assign", f"Mosaic.Operator.Admin={PERSON}")
    first = az.run("register-entra-app.sh", *arguments)
    state = az.state
    again = az.run("register-entra-app.sh", *arguments)

    assert (first.returncode, again.returncode) == (0, 0)
    assert again.stdout == first.stdout
    assert ran(again.stderr) == ["ran ad app create"]  # which patches the one that is there
    assert az.state == state
    assert len(state["assignments"]) == 2


def test_clients_that_were_let_in_by_hand_stay(az: Az) -> None:
    az.run("register-entra-app.sh")
    state = az.state
    other = {"appId": "e0e0e0e0-1111-2222-3333-444444444444", "delegatedPermissionIds": []}
    state["app"]["api"]["preAuthorizedApplications"] = [other]
    az.state_file.write_text(json.dumps(state))

    assert az.run("register-entra-app.sh").returncode == 0
    kept = az.state["app"]["api"]["preAuthorizedApplications"]
    assert kept[0] == other
    assert len(kept) == 2


@pytest.mark.parametrize(
    "arguments",
    [("--assign", f"Mosaic.Operator.Reed={PERSON}"), ("--assign", "Mosaic.Operator.Read=me"), ("--assign",), ("more",)],
)
def test_what_it_does_not_understand_is_refused_before_anything_is_done(az: Az, arguments: tuple[str, ...]) -> None:
    done = az.run("register-entra-app.sh", *arguments)

    assert done.returncode == 2
    assert done.stderr
    assert ran(done.stderr) == []


STRATEGY = {"AZURE_RESOURCE_GROUP": "group", "AZURE_FUNCTION_APP_NAME": "app"}


def test_the_update_strategy_is_set_once(az: Az) -> None:
    wanted = STRATEGY | {"AZURE_UPDATE_STRATEGY": "RollingUpdate"}
    first, again = az.run("update-strategy.sh", **wanted), az.run("update-strategy.sh", **wanted)

    assert (first.returncode, again.returncode) == (0, 0)
    assert az.state["strategy"] == "RollingUpdate"
    assert len(ran(first.stderr)) == 1
    assert ran(again.stderr) == []
    back = az.run("update-strategy.sh", **STRATEGY, AZURE_UPDATE_STRATEGY="Recreate")
    assert len(ran(back.stderr)) == 1
    assert az.state["strategy"] == "Recreate"


def test_a_site_without_a_strategy_recreates(az: Az) -> None:
    assert ran(az.run("update-strategy.sh", **STRATEGY, AZURE_UPDATE_STRATEGY="Recreate").stderr) == []


@pytest.mark.parametrize("environ", [STRATEGY, STRATEGY | {"AZURE_UPDATE_STRATEGY": "rolling"}, {}])
def test_an_unknown_strategy_or_site_is_refused(az: Az, environ: dict[str, str]) -> None:
    done = az.run("update-strategy.sh", **environ)

    assert done.returncode == 2
    assert ran(done.stderr) == []


def test_a_dry_run_of_the_strategy_runs_nothing(az: Az) -> None:
    done = az.run("update-strategy.sh", "--dry-run", **STRATEGY, AZURE_UPDATE_STRATEGY="RollingUpdate")

    assert done.returncode == 0
    assert "--type RollingUpdate" in done.stderr
    assert ran(done.stderr) == []
