"""Route templates: which paths they match, with which parameters, and which comes first."""

import pytest

from mosaic_local.host.routes import RouteTemplate


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        ("api/v1/runs/{runId}", "/api/v1/runs/7", {"runId": "7"}),
        ("api/v1/runs/{runId}", "/API/v1/Runs/AbC/", {"runId": "AbC"}),
        ("api/v1/runs/{runId}", "/api/v1/runs", None),
        ("api/v1/runs/{runId}", "/api/v1/runs/", None),
        ("api/v1/runs/{runId}", "/api/v1/runs/7/stages", None),
        ("api/{a}/x/{b}", "/api/1/x/2", {"a": "1", "b": "2"}),
        ("api/{a}", "/api/a%20b%2Fc%C3%BC", {"a": "a b%2Fcü"}),
        ("api/{id:guid}", "/api/a11ce000000000000000000000000001", {"id": "a11ce000000000000000000000000001"}),
        ("api/{id:guid}", "/api/x", None),
        ("api/{n:int}", "/api/12", {"n": "12"}),
        ("api/{n:int}", "/api/1x", None),
        ("api/{n?}", "/api", {}),
        ("api/{n?}", "/api/1", {"n": "1"}),
        ("api/{*rest}", "/api/a/b%20c", {"rest": "a/b c"}),
        ("", "/", {}),
        ("", "/x", None),
    ],
)
def test_match(template: str, path: str, expected: dict[str, str] | None) -> None:
    assert RouteTemplate.parse(template).match(path) == expected


def test_the_more_specific_template_comes_first() -> None:
    texts = ["api/{*rest}", "api/{id}/x", "api/{id:guid}/x", "api/special/x"]
    ordered = sorted((RouteTemplate.parse(text) for text in texts), key=lambda template: template.precedence)
    assert [template.text for template in ordered] == ["api/special/x", "api/{id:guid}/x", "api/{id}/x", "api/{*rest}"]


@pytest.mark.parametrize(
    "template", ["a/x{id}", "a/{id=5}", "a/{id:regex(.)}", "a/{x?}/b", "{*all}/b", "a/{", "a/{id:even}"]
)
def test_syntax_that_is_not_imitated_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match=r"route"):
        RouteTemplate.parse(template)
