"""A directory of one tenant behind the few `az` commands that infra/scripts uses. Run as `az`: the state is the JSON
file that ENTRA_STATE names, and every call that changes it is told on standard error as ``ran …``."""

from __future__ import annotations

import json
import os
import sys
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

TENANT = "0f0f0f0f-1111-2222-3333-444444444444"
APP = "a0a0a0a0-1111-2222-3333-444444444444"
OBJECT = "b0b0b0b0-1111-2222-3333-444444444444"
PRINCIPAL = "c0c0c0c0-1111-2222-3333-444444444444"
CLOUD = {
    "endpoints.activeDirectory": "https://login.example",
    "endpoints.microsoftGraphResourceId": "https://graph.example/",
}


def main(arguments: list[str]) -> int:
    path = Path(os.environ["ENTRA_STATE"])
    state: dict[str, Any] = json.loads(path.read_text())
    words = list(takewhile(lambda word: not word.startswith("-"), arguments))
    options = {name: value for name, value in pairwise(arguments) if name.startswith("--")}
    answer = _reading(words, options, state)
    if answer is None:
        answer = _changing(words, options, state)
        print(f"ran {' '.join(words[:3])}", file=sys.stderr)
        path.write_text(json.dumps(state))
    print(answer)
    return 0


def _reading(words: list[str], options: dict[str, str], state: dict[str, Any]) -> str | None:
    query = options.get("--query", "")
    match words:
        case ["account", "show"]:
            return TENANT
        case ["cloud", "show"]:
            return CLOUD[query]
        case ["ad", "app", "show", *_]:
            if query == "id":
                return OBJECT
            return json.dumps(state["app"]["api"][query.removeprefix("api.")], indent=2)
        case ["ad", "sp", "list", *_]:
            return PRINCIPAL if state.get("principal") else ""
        case ["rest", *_] if options["--method"] == "GET":
            given = [a for a in state["assignments"] if a["principalId"] in query and a["appRoleId"] in query]
            return "an id" if given else ""
        case ["functionapp", "update-strategy", "config", "show"]:
            return str(state.get("strategy", ""))
    return None


def _changing(words: list[str], options: dict[str, str], state: dict[str, Any]) -> str:
    match words:
        case ["ad", "app", "create", *_]:
            app = state.setdefault("app", {"api": {"oauth2PermissionScopes": [], "preAuthorizedApplications": []}})
            app |= {"name": options["--display-name"], "roles": json.loads(options["--app-roles"])}
            app["api"]["requestedAccessTokenVersion"] = int(options["--requested-access-token-version"])
            return APP
        case ["ad", "sp", "create", *_]:
            state["principal"] = PRINCIPAL
        case ["rest", *_] if options["--method"] == "PATCH":
            body = json.loads(options["--body"])
            state["app"]["api"] |= body.pop("api")
            state["app"] |= body
        case ["rest", *_] if options["--method"] == "POST":
            state["assignments"].append(json.loads(options["--body"]))
        case ["functionapp", "update-strategy", "config", "set"]:
            state["strategy"] = options["--type"]
        case _:
            raise SystemExit(f"az: unknown command {words}")
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
