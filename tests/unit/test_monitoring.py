"""The module of alerts, workbook and saved queries against its files, and the page that a reader finds them by."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from mosaic_ops.checks.infra.kql import FOLDER, MODULE, WORKBOOK, Emitted, Monitoring, Query

ROOT = Path(__file__).resolve().parents[2]
BICEP = (ROOT / MODULE).read_text("utf-8")
PORTAL = (ROOT / "docs" / "portal.md").read_text("utf-8")
WINDOWS = ["PT5M", "PT10M", "PT15M", "PT30M", "PT45M", "PT1H", "PT2H", "PT3H", "PT4H", "PT5H", "PT6H", "P1D", "P2D"]

_ALERT = re.compile(
    r"  \{\n    name: '(?P<name>[\w-]+)'\n    description: '.*'\n    severity: (?P<severity>\d)\n"
    r"    evaluationFrequency: '(?P<every>\w+)'\n    windowSize: '(?P<window>\w+)'\n"
    r"    queryTimeRange: (?P<range>'\w+'|null)\n    dimensions: (?P<dimensions>\S+)\n"
    r"    query: loadTextContent\('\.\./monitoring/alerts/(?P<file>[\w-]+)\.kql'\)\n"
)
ALERTS = [match.groupdict() for match in _ALERT.finditer(BICEP)]
SAVED = re.findall(r"displayName: '((?:[^'\\]|\\.)+)'\n    query: loadTextContent\('\.\./monitoring/kql/", BICEP)


def workbook() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / WORKBOOK).read_text("utf-8"))
    return loaded


def test_every_query_of_an_alert_is_an_alert() -> None:
    files = {path.stem for path in (ROOT / FOLDER / "alerts").glob("*.kql")}
    assert {alert["file"] for alert in ALERTS} == {alert["name"] for alert in ALERTS} == files
    assert len(ALERTS) == 8


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["name"])
def test_a_log_alert_looks_at_what_it_can(alert: dict[str, str]) -> None:
    """The platform's limits; and a row of a time of its own would be counted apart from the others."""
    query = Query(Monitoring(ROOT).emitted, (ROOT / FOLDER / "alerts" / f"{alert['file']}.kql").read_text("utf-8"))
    assert query.read() == []
    assert "TimeGenerated" not in query.columns
    by = {"ofLane": {"lane"}, "ofQueue": {"queue"}, "[]": set()}[alert["dimensions"]]
    assert by <= query.columns
    assert by or not query.columns & {"lane", "queue"}, "rows of several lanes would be one alert"
    assert WINDOWS.index(alert["every"]) <= WINDOWS.index(alert["window"]) <= WINDOWS.index("P1D")
    if alert["range"] != "null":
        assert WINDOWS.index(alert["range"].strip("'")) > WINDOWS.index(alert["window"])


def test_the_page_names_every_alert_and_every_saved_query() -> None:
    metric = re.findall(r"name: 'alert-\$\{environmentName\}-([\w-]+)'", BICEP)
    for name in (*metric, *(alert["name"] for alert in ALERTS)):
        assert f"`{name}`" in PORTAL, name
    assert len(SAVED) == len(list((ROOT / FOLDER / "kql").glob("*.kql")))
    for title in SAVED:
        plain = title.replace("\\'", "'")
        short = re.sub(r"^.* (\d)", r"… \1", plain)
        assert f'"{plain}"' in PORTAL or f'"{short}"' in PORTAL, plain


def test_the_page_names_every_look_of_the_seed() -> None:
    for look in (
        "aspire resources",
        "aspire wait worker",
        "aspire wait api",
        "aspire logs worker",
        "aspire telemetry traces worker",
        "aspire telemetry logs worker",
    ):
        assert look in PORTAL
    for tab in tabs().values():
        assert tab in PORTAL


def tabs() -> dict[str, str]:
    (item,) = [item for item in workbook()["items"] if item["name"] == "tabs"]
    return {link["subTarget"]: link["linkLabel"] for link in item["content"]["links"]}


def test_every_step_of_the_workbook_is_on_a_tab_that_there_is() -> None:
    shown = [
        item["conditionalVisibility"] for item in workbook()["items"] if item["name"] not in ("parameters", "tabs")
    ]
    assert {it["parameterName"] for it in shown} == {"Tab"}
    assert {it["value"] for it in shown} == tabs().keys()
    names = sorted(item["name"] for item in workbook()["items"])
    assert all(before != after for before, after in pairwise(names))


def test_the_workbooks_placeholders_are_the_modules() -> None:
    text = (ROOT / WORKBOOK).read_text("utf-8")
    assert len(text) < 131_072, "loadTextContent takes no more"
    assert set(re.findall(r"__\w+__", text)) == set(re.findall(r"'(__\w+__)'", BICEP))
    parameters = {
        it["name"] for item in workbook()["items"] if item["type"] == 9 for it in item["content"]["parameters"]
    }
    assert set(re.findall(r"\{(\w+)(?::\w+)?\}", text)) <= parameters


def test_a_query_of_the_workbook_that_names_what_is_not_emitted_is_found() -> None:
    emitted = Emitted.of(json.loads((ROOT / FOLDER / "emitted.json").read_text("utf-8")))
    queries = dict(Monitoring(ROOT).queries())
    assert f"{WORKBOOK} (story)" in queries
    text = queries[f"{WORKBOOK} (story)"].replace("messageId", "mesageId")
    assert any("Properties.mesageId" in what for _, what in Query(emitted, text).read())
