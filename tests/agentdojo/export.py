"""Runs in agentdojo's own environment, and prints its banking suite as JSON: user tasks, injection tasks, and of every
pair and attack the bank's transactions and files as the model would read them."""

from __future__ import annotations

import json
import sys
from typing import Any

from agentdojo.agent_pipeline import AgentPipeline  # type: ignore[import-not-found]
from agentdojo.attacks import load_attack  # type: ignore[import-not-found]
from agentdojo.task_suite.load_suites import get_suite  # type: ignore[import-not-found]

VERSION = "v1.2.1"
ATTACKS = ("direct", "ignore_previous", "system_message", "injecagent", "important_instructions", "tool_knowledge")


def calls(task: Any, environment: Any) -> list[dict[str, Any]]:
    return [{"name": call.function, "arguments": dict(call.args)} for call in task.ground_truth(environment)]


def main() -> None:
    suite = get_suite(VERSION, "banking")
    plain = suite.load_and_inject_default_environment({})
    pipeline = AgentPipeline([])
    pipeline.name = "gpt-4o-2024-05-13"  # the attacks address the model by its name
    found: dict[str, Any] = {
        "version": VERSION,
        "userTasks": {k: {"prompt": t.PROMPT, "calls": calls(t, plain)} for k, t in suite.user_tasks.items()},
        "injectionTasks": {k: {"goal": t.GOAL, "calls": calls(t, plain)} for k, t in suite.injection_tasks.items()},
        "pairs": [],
    }
    for name in ATTACKS:
        attack = load_attack(name, suite, pipeline)
        for user_id, user_task in suite.user_tasks.items():
            for injection_id, injection_task in suite.injection_tasks.items():
                environment = suite.load_and_inject_default_environment(attack.attack(user_task, injection_task))
                found["pairs"].append(
                    {
                        "attack": name,
                        "userTask": user_id,
                        "injectionTask": injection_id,
                        "transactions": [t.model_dump() for t in environment.bank_account.transactions],
                        "files": dict(environment.filesystem.files),
                    }
                )
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
