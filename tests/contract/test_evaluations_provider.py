"""`./mosaic eval --provider` with the real clients, against a server that speaks the provider's HTTP protocol."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from azure.core.credentials import AccessToken

from mosaic_core.agents.model import TOKEN_SCOPE
from mosaic_ops import cli
from mosaic_ops.evaluations import baseline, packs, questions, unseen
from tests.support.examples import examples
from tests.support.provider import KEY, Provider, Reply, Request, calls, fails, says

LINE = {
    "transactionId": "t1",
    "accountId": "card",
    "postedOn": "2026-10-05",
    "amount": "-15.49",
    "currency": "USD",
    "description": "NETFLIX.COM",
    "merchantName": "Netflix",
}


def refuses_all(request: Request) -> Reply:
    """Finds that no ledger can answer, whatever is asked."""
    return says("That is not in there.") if request.results() else calls(("cannot_answer", {"reason": "not_in_ledger"}))


def sums_up(request: Request) -> Reply:
    """Answers whatever is asked with the sum of everything."""
    if not request.results():
        return calls(("ledger_total", {}))
    return says(f"{request.results()[0]['totals'][0]['amount']} USD.")


type Configure = Callable[[Provider], None]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Configure:
    def settings(server: Provider) -> None:
        for name, value in (("Endpoint", f"{server.url}/v1"), ("Model", "model-1"), ("ApiKey", KEY)):
            monkeypatch.setenv(f"Agent__{name}", value)

    return settings


@pytest.fixture(autouse=True)
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packs of a few cases: each is a conversation over HTTP."""
    folder = tmp_path / "evals"
    folder.mkdir()
    for pack in ("refusals", "categories"):
        lines = (packs.FOLDER / f"{pack}.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if pack == "categories" or re.search(r'"holdout-.*-0[1-4]"', line)]
        (folder / f"{pack}.jsonl").write_text("".join(kept), encoding="utf-8")
    monkeypatch.setattr(packs, "FOLDER", folder)
    for name in ("QUESTIONS", "HELD_OUT", "CANNOT"):
        monkeypatch.setattr(questions, name, getattr(questions, name)[:3])


async def run(*arguments: str) -> int:
    """On a thread, as the command has event loops of its own."""
    return await asyncio.to_thread(cli.main, ["eval", *arguments])


def files(tmp_path: Path, *questions: str) -> list[str]:
    (tmp_path / "ledger").write_text(json.dumps(LINE) + "\n", encoding="utf-8")
    lines = [json.dumps({"id": number, "question": text}) + "\n" for number, text in enumerate(questions)]
    (tmp_path / "in").write_text("".join(lines), encoding="utf-8")
    return [word for name in ("in", "out", "ledger") for word in (f"--{name}", str(tmp_path / name))]


@pytest.mark.parametrize(("script", "recalls"), [(refuses_all, (0.0, 1.0)), (sums_up, (1.0, 0.0))])
async def test_a_pack_is_the_models_own(
    script: Callable[[Request], Reply],
    recalls: tuple[float, float],
    configure: Configure,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    results = tmp_path / "results.json"
    async with Provider(script, forever=True) as server:
        configure(server)
        code = await run(
            "--provider", "openai", "--pack", "refusals", "--pack", "categorisation", "--json", str(results)
        )
    assert (code, server.faults) == (1, [])
    found = json.loads(results.read_text(encoding="utf-8"))
    assert (found["provider"], found["source"]) == ("openai", "openai/model-1")
    refusals, categories = found["packs"]
    assert tuple(one["recall"]["value"] for one in refusals["classes"]) == recalls
    assert categories["figures"][0]["met"], "what asks no agent is as it is without a model"
    assert found["withoutBaseline"] == ["refusals"]
    assert {line.partition(":")[0] for line in found["regressions"]} == {"refusals"}
    said = capsys.readouterr()
    assert "no baseline of openai for refusals" in said.out
    assert KEY not in said.out + said.err


async def test_the_questions_pack_asks_the_model(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("QUESTIONS", "HELD_OUT"):  # the refusal of one is that of all
        monkeypatch.setattr(questions, name, getattr(questions, name)[:: examples(20, slow=1)])
    monkeypatch.setattr(unseen, "UNSEEN", unseen.UNSEEN[:: examples(20, slow=1)])
    results = tmp_path / "results.json"
    async with Provider(refuses_all, forever=True) as server:
        configure(server)
        assert await run("--provider", "openai", "--pack", "questions", "--json", str(results)) == 1
    [found] = json.loads(results.read_text(encoding="utf-8"))["packs"]
    figures = {figure["name"]: figure["value"] for figure in found["figures"]}
    assert figures == {"answered exactly": 0.0, "invented answers": 0.0}


async def test_a_baseline_is_kept_for_each_provider(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "baseline.json"
    before, update, read = baseline.read(), baseline.update, baseline.read
    path.write_text(json.dumps(before.model_dump(by_alias=True)), encoding="utf-8")
    monkeypatch.setattr(baseline, "update", lambda provider, evaluations: update(provider, evaluations, path))
    monkeypatch.setattr(baseline, "read", lambda *_: read(path))
    async with Provider(refuses_all, forever=True) as server:
        configure(server)
        both = ("--provider", "openai", "--pack", "refusals", "--pack", "categorisation")
        assert await run(*both, "--update-baseline") == 0
    after = read(path)
    assert after.providers["offline"] == before.providers["offline"]
    assert after.providers["openai"]["refusals"].figures == {"unanswerable refused": 1.0, "answerable answered": 0.0}
    assert set(after.providers["openai"]) == {"refusals"}


async def test_questions_of_ones_own_are_answered_by_the_model(configure: Configure, tmp_path: Path) -> None:
    named = files(tmp_path, "How much did I spend?", "And at Netflix?")
    async with Provider(sums_up, forever=True) as server:
        configure(server)
        assert await run("predict", "questions", "--provider", "openai", *named) == 0
    found = [json.loads(line) for line in (tmp_path / "out").read_text(encoding="utf-8").splitlines()]
    assert [(one["id"], one["answer"], one["transactionIds"]) for one in found] == [
        (0, 15.49, ["t1"]),
        (1, 15.49, ["t1"]),
    ]
    assert len(server.requests) == 4


async def test_azure_by_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Provider(sums_up, forever=True) as server:
        settings = {"Provider": "azure_openai", "Endpoint": server.url, "Deployment": "d", "ApiVersion": "2024-10-21"}
        for name, value in {**settings, "ApiKey": KEY}.items():
            monkeypatch.setenv(f"Agent__{name}", value)
        named = files(tmp_path, "How much did I spend?")
        assert await run("predict", "questions", "--provider", "configured", *named) == 0
    assert server.requests[0].path == "/openai/deployments/d/chat/completions"


class Identity:
    """The app's identity; whether it was closed."""

    closed = False

    async def get_token(self, scope: str) -> AccessToken:
        assert scope == TOKEN_SCOPE
        return AccessToken(KEY, 0)

    async def close(self) -> None:
        self.closed = True


async def test_azure_by_the_apps_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = Identity()
    monkeypatch.setattr("mosaic_core.adapters.credentials.app_identity", lambda client_id: identity)
    async with Provider(sums_up, forever=True) as server:
        settings = {"Endpoint": server.url, "Deployment": "d", "ApiVersion": "2024-10-21", "ClientId": "an-identity"}
        for name, value in settings.items():
            monkeypatch.setenv(f"Agent__{name}", value)
        named = files(tmp_path, "How much did I spend?")
        assert await run("predict", "questions", "--provider", "azure_openai", *named) == 0
    assert server.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    assert identity.closed


async def test_a_provider_that_does_not_answer_is_not_reachable(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("Agent__MaxRetries", "0")
    async with Provider(fails(503), forever=True) as server:
        configure(server)
        assert await run("--provider", "openai", "--pack", "refusals") == 3
    assert "agent_runtime_unavailable" in capsys.readouterr().err
