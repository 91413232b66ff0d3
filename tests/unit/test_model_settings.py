"""Which provider answers, and that nothing pays for one that is not asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mosaic_core.bootstrap import MODEL_PACKAGES
from mosaic_core.config import AgentSettings, Settings
from mosaic_core.domain.errors import ConfigurationError
from tests.unit.test_config import MINIMAL

ROOT = Path(__file__).resolve().parents[2]
OPENAI = {
    "Agent__Provider": "openai",
    "Agent__Endpoint": "https://model.example/v1",
    "Agent__Model": "model-1",
    "Agent__ApiKey": "a-key-that-nobody-sees",
}
AZURE = {
    "Agent__Provider": "azure_openai",
    "Agent__Endpoint": "https://resource.example",
    "Agent__Deployment": "deployment-1",
    "Agent__ApiVersion": "2024-10-21",
}


def faults(env: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env(MINIMAL | env)
    return list(caught.value.faults)


def test_offline_is_the_default() -> None:
    assert Settings.from_env(MINIMAL).agent == AgentSettings()
    assert AgentSettings().provider == "offline"


def test_openai() -> None:
    agent = Settings.from_env(MINIMAL | OPENAI).agent
    assert (agent.provider, agent.model, agent.endpoint) == ("openai", "model-1", "https://model.example/v1")
    assert not agent.uses_identity
    assert "nobody-sees" not in repr(agent)


def test_azure_by_identity_or_key() -> None:
    agent = Settings.from_env(MINIMAL | AZURE | {"Agent__ClientId": "an-identity"}).agent
    assert (agent.model, agent.api_version, agent.client_id) == ("deployment-1", "2024-10-21", "an-identity")
    assert agent.uses_identity
    assert not Settings.from_env(MINIMAL | AZURE | {"Agent__ApiKey": "k"}).agent.uses_identity


def test_streaming_is_a_choice() -> None:
    assert not Settings.from_env(MINIMAL | OPENAI).agent.streaming
    assert Settings.from_env(MINIMAL | OPENAI | {"Agent__Streaming": "true"}).agent.streaming


def test_every_limit_is_read() -> None:
    names = "TimeoutSeconds RunSeconds MaxRetries MaxToolCalls MaxRounds MaxOutputTokens TokenBudget".split()
    values = [7, 70, 3, 4, 5, 600, 7000]
    env = {f"Agent__{name}": str(value) for name, value in zip(names, values, strict=True)}
    agent = Settings.from_env(MINIMAL | env).agent
    assert [
        agent.timeout_seconds, agent.run_seconds, agent.max_retries, agent.max_tool_calls, agent.max_rounds,
        agent.max_output_tokens, agent.token_budget,
    ] == values  # fmt: skip


def test_what_is_missing_is_named_at_once() -> None:
    assert [f.split()[0] for f in faults({"Agent__Provider": "openai"})] == [
        "Agent__Endpoint",
        "Agent__Model",
        "Agent__ApiKey",
    ]
    assert [f.split()[0] for f in faults({"Agent__Provider": "azure_openai"})] == [
        "Agent__Endpoint",
        "Agent__Deployment",
        "Agent__ApiVersion",
    ]


@pytest.mark.parametrize(
    ("env", "named", "said"),
    [
        ({"Agent__Provider": "oracle"}, "Agent__Provider", "offline, openai, azure_openai"),
        ({"Agent__Model": "model-1"}, "Agent__Model", "contradicts Agent__Provider, which is offline"),
        (OPENAI | {"Agent__Deployment": "d"}, "Agent__Deployment", "contradicts"),
        (OPENAI | {"Agent__ClientId": "d"}, "Agent__ClientId", "contradicts"),
        (AZURE | {"Agent__Model": "d"}, "Agent__Model", "contradicts"),
        (AZURE | {"Agent__ApiKey": "k", "Agent__ClientId": "i"}, "Agent__ApiKey", "Agent__ClientId"),
        (OPENAI | {"Agent__Endpoint": "http://model.example"}, "Agent__Endpoint", "https"),
        (OPENAI | {"Agent__MaxRounds": "0"}, "Agent__MaxRounds", "1 to 40"),
        (OPENAI | {"Agent__TimeoutSeconds": "121"}, "Agent__TimeoutSeconds", "Agent__RunSeconds"),
        (OPENAI | {"Agent__RunSeconds": "240"}, "Agent__RunSeconds", "Lane__DeadlineSeconds"),
        (OPENAI | {"Agent__Key": "k"}, "Agent__Key", "unknown"),
    ],
)
def test_a_contradiction_is_named(env: dict[str, str], named: str, said: str) -> None:
    (fault,) = faults(env)
    assert fault.startswith(named)
    assert said in fault


def test_no_fault_shows_a_key() -> None:
    assert all("nobody-sees" not in f for f in faults(OPENAI | {"Agent__Deployment": "d", "Agent__Provider": "x"}))


def loaded_by(modules: str) -> set[str]:
    code = f"import sys, {modules}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_an_app_that_nobody_has_asked_has_loaded_neither_a_model_s_packages_nor_the_offline_rules() -> None:
    loaded = loaded_by("mosaic_core.bootstrap, mosaic_core.entrypoints.queues")
    assert loaded.isdisjoint(MODEL_PACKAGES)
    assert {name for name in loaded if ".offline." in name} == {"mosaic_core.agents.offline.lexicon"}


def test_the_agent_itself_loads_its_packages_and_tools_when_first_asked() -> None:
    loaded = loaded_by("mosaic_core.agents.model")
    assert loaded.isdisjoint(MODEL_PACKAGES)
    assert {name for name in loaded if ".offline" in name or ".ledger." in name} == set()
