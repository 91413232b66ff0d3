"""Route templates: which paths they match, with which parameters."""

import pytest

from mosaic_local.host.routes import RouteTemplate, template_of


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


@pytest.mark.parametrize(
    ("constraint", "taken", "refused"),
    [
        ("int", ["0", "-5", "+5", "007", "2147483647", "-2147483648", "%205"], ["2147483648", "1_0", "٣", "1.0", "x"]),
        ("long", ["2147483648", "-9223372036854775808"], ["9223372036854775808", "1_0"]),
        ("bool", ["true", "FALSE", "%20True"], ["1", "yes"]),
        (
            "datetime",
            "2026-01-31|2026-01-31T10:00:00Z|2026-01-31T10:00:00.1234567+02:00|1-31-2026|31 Jan 2026|"
            "January 5, 2026|Sat, 31 Jan 2026 10:00:00 GMT|10:30|7pm|2026-01|1-31".split("|"),
            ["2026-02-30", "31-1-2026", "20260131", "2026-W01-1", "25:00", "today", "10", "13pm", "2026-01-31T"],
        ),
        ("decimal", ["1", "-1.5", "1,000.5", ".5", "1-"], ["1e5", "79228162514264337593543950336", ".", "-1-", "x"]),
        ("double", ["1e5", "-.5", "NaN", "Infinity", "1e999"], ["1e", "x", "."]),
        ("float", ["1.5"], ["one"]),
        (
            "guid",
            ["A11CE000000000000000000000000001", "(a11ce000-0000-0000-0000-000000000001)"],
            ["a11c-e000000000000000000000000001", "urn:uuid:a11ce000-0000-0000-0000-000000000001", "(a11ce000"],
        ),
        ("alpha", ["aZ"], ["a1", "ä"]),
        ("minlength(2)", ["ab", "abc"], ["a"]),
        ("maxlength(2)", ["a", "ab"], ["abc"]),
        ("length(2)", ["ab"], ["a", "abc"]),
        ("length(2,3)", ["ab", "abc"], ["a", "abcd"]),
        ("min(5)", ["5", "9223372036854775807"], ["4", "x", "9223372036854775808"]),
        ("max(-1)", ["-1"], ["0"]),
        ("range(1,5)", ["1", "5"], ["0", "6"]),
        (r"regex(^\d{{3}}$)", ["123"], ["12", "1234"]),
        ("regex((a|b)/?)", ["A"], ["c"]),
        ("file", ["a.txt"], ["a", "a."]),
        ("nonfile", ["a", "a."], ["a.txt"]),
        ("required", ["a"], []),
        ("alpha:length(3)", ["abc"], ["ab1", "ab"]),
    ],
)
def test_constraints_take_what_net_takes(constraint: str, taken: list[str], refused: list[str]) -> None:
    template = RouteTemplate.parse(f"api/{{x:{constraint}}}")
    assert [value for value in taken if template.match(f"/api/{value}") is None] == []
    assert [value for value in refused if template.match(f"/api/{value}") is not None] == []


def test_a_constraint_of_a_catch_all_is_for_all_that_it_catches() -> None:
    template = RouteTemplate.parse("f/{*path:maxlength(3)}")
    assert template.match("/f/a/b") == {"path": "a/b"}
    assert template.match("/f/a/bc") is None
    assert template.match("/f") == {}


@pytest.mark.parametrize(
    "template",
    "a/x{id} a/{id=5} a/{id:regex([)} a/{x?}/b {*all}/b a/{ a/{id:even} a/{id:int(3)} "
    "a/{id:min} a/{id:range(1)} a/{id:length(x)} {a}/{A} a? a/{b}c a/{b:regex(x{3})}".split(),
)
def test_syntax_that_is_not_imitated_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match=r"route"):
        RouteTemplate.parse(template)


@pytest.mark.parametrize(
    ("prefix", "route", "template"),
    [
        ("api", "", "api/f"),
        ("api", " ", "api/f"),
        ("", "", "f"),
        ("api", "x/y/", "api/x/y/"),
        ("", "/x", "x"),
        ("admin", "x", "admin/x"),
    ],
)
def test_a_function_without_a_route_has_its_name(prefix: str, route: str, template: str) -> None:
    assert template_of(prefix, route, "f") == template


@pytest.mark.parametrize(
    ("route", "word"), [("/x", "slashes"), ("/", "slashes"), ("admin/x", "conflicts"), ("Runtimes", "conflicts")]
)
def test_a_route_that_the_platform_refuses_is_refused(route: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        template_of("api", route, "f")
