"""The broker's configuration: every fault in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mosaic_local.broker.config import load
from mosaic_local.broker.errors import StartError


def written(folder: Path, config: dict[str, Any]) -> Path:
    path = folder / "broker.json"
    path.write_text(json.dumps(config))
    return path


def test_what_is_left_out_has_the_contracts_values(tmp_path: Path) -> None:
    config = load(written(tmp_path, {"queues": [{"name": "q"}], "eventHubs": [{"name": "h"}], "stateDir": None}))
    (queue,), (hub,) = config.queues, config.event_hubs
    assert (queue.lock_seconds, queue.max_delivery_count, queue.ttl_seconds) == (60, 10, 1_209_600)
    assert queue.dead_lettering_on_expiration
    assert (hub.partitions, hub.retention_events) == (4, 50_000)
    assert (config.host, config.amqp_port, config.admin_port, config.state_dir) == ("127.0.0.1", 0, 0, None)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"amqpPort": 70000}, "amqpPort"),
        ({"queues": [{"name": "a"}, {"name": "A"}]}, "more than once: a"),
        ({"queues": [{"name": "a"}], "eventHubs": [{"name": "A"}]}, "more than once: a"),
        ({"queues": [{"name": "a", "lockSeconds": 301}]}, "lockSeconds"),
        ({"queues": [{"name": "a b"}]}, "queues.0.name"),
        ({"queues": [{"name": "a", "requiresSession": True}]}, "sessions"),
        ({"certFile": "x"}, "keyFile"),
        ({"sasKey": "x"}, "sasKeyName"),
        ({"queue": []}, "queue"),
    ],
)
def test_a_fault_is_named(tmp_path: Path, config: dict[str, Any], named: str) -> None:
    with pytest.raises(StartError) as caught:
        load(written(tmp_path, config))
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(StartError) as caught:
        load(written(tmp_path, {"amqpPort": -1, "adminPort": "x", "queues": [{"lockSeconds": 1}]}))
    assert all(name in str(caught.value) for name in ("amqpPort", "adminPort", "queues.0.name"))
