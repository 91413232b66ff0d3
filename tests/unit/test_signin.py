"""Signing in at the embedded issuer: the code goes where the console is and nowhere else, once, to whoever began."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from mosaic_local.signin import CLIENT_ID, CODE_SECONDS, MAX_CODES, Reply, SignIn, challenge_of

ISSUER = "http://127.0.0.1:1"
CONSOLE = "http://127.0.0.1:2/api/console"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
ASKED = {
    "client_id": CLIENT_ID,
    "redirect_uri": CONSOLE,
    "response_type": "code",
    "scope": "openid",
    "state": "a&b=c",
    "nonce": "n",
    "code_challenge": challenge_of(VERIFIER),
    "code_challenge_method": "S256",
}


class World:
    def __init__(self) -> None:
        self.now = 1000.0
        self.sign_in = SignIn(ISSUER, [CONSOLE], self.mint, lambda: self.now)

    def mint(self, user: str, roles: Sequence[str], audience: str | None, more: Mapping[str, str]) -> str:
        return json.dumps([user, list(roles), audience, dict(more)])

    def code(self, user: str = "alice", *roles: str, **changes: str) -> str:
        form = urlencode([("user", user), *(("role", role) for role in roles)])
        reply = self.sign_in.chosen(urlencode(ASKED | changes), form)
        return said(reply)["code"]

    def redeem(self, **changes: str | None) -> Reply:
        form = {
            "grant_type": "authorization_code",
            "client_id": CLIENT_ID,
            "redirect_uri": CONSOLE,
            "code_verifier": VERIFIER,
        } | changes
        return self.sign_in.redeem(urlencode({name: value for name, value in form.items() if value is not None}))


def said(reply: Reply, part: str = "query") -> dict[str, str]:
    assert reply.status == 303
    location = urlsplit(reply.headers["Location"])
    assert f"{location.scheme}://{location.netloc}{location.path}" == CONSOLE
    return {name: value for name, [value] in parse_qs(getattr(location, part)).items()}


def test_the_challenge_is_that_of_the_rfc() -> None:
    assert challenge_of(VERIFIER) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_a_code_is_redeemed_once_for_tokens() -> None:
    world = World()
    code = world.code("bob", "Mosaic.Operator.Read", "Some.Other")
    answer = world.redeem(code=code)
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    told = json.loads(answer.body)
    assert json.loads(told["access_token"]) == ["bob", ["Mosaic.Operator.Read"], None, {}]
    assert json.loads(told["id_token"])[2:] == [CLIENT_ID, {"nonce": "n"}]
    again = world.redeem(code=code)
    assert (again.status, json.loads(again.body)) == (400, {"error": "invalid_grant"})


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": "x" * 43},
        {"code_verifier": ""},
        {"code_verifier": VERIFIER[:-1]},
        {"redirect_uri": "http://127.0.0.1:2/api/console/"},
        {"redirect_uri": None},
        {"client_id": "another"},
        {"grant_type": "password"},
        {"code": "guessed"},
    ],
)
def test_a_code_is_bound_to_who_began_and_burnt_by_a_wrong_try(changes: dict[str, str | None]) -> None:
    world = World()
    code = world.code()
    assert world.redeem(**({"code": code} | changes)).status == 400
    spent = "code" not in changes and "client_id" not in changes and "grant_type" not in changes
    assert world.redeem(code=code).status == (400 if spent else 200)


def test_a_code_lives_a_minute_and_codes_do_not_pile_up() -> None:
    world = World()
    code = world.code()
    world.now += CODE_SECONDS + 0.1
    assert world.redeem(code=code).status == 400
    first = world.code()
    for _ in range(MAX_CODES):
        world.code()
    assert world.redeem(code=first).status == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "http://127.0.0.1:2/api/console/"},
        {"redirect_uri": "http://127.0.0.1:2/api/console?x=1"},
        {"redirect_uri": "http://127.0.0.1:2" + "@evil.example/api/console"},
        {"redirect_uri": "http://127.0.0.1:2/API/console"},
        {"redirect_uri": ""},
        {"client_id": "another"},
    ],
)
def test_nobody_unknown_is_redirected_to(changes: dict[str, str]) -> None:
    world = World()
    for reply in (
        world.sign_in.page(urlencode(ASKED | changes)),
        world.sign_in.chosen(urlencode(ASKED | changes), "user=alice"),
        world.sign_in.page(f"{urlencode(ASKED)}&{urlencode({'redirect_uri': 'http://evil.example'} | changes)}"),
    ):
        assert reply.status == 400
        assert "Location" not in reply.headers
        assert "form-action 'none'" in reply.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"response_mode": "web_message"}, "invalid_request"),
    ],
)
def test_what_is_wrong_goes_back_to_the_console(changes: dict[str, str], code: str) -> None:
    world = World()
    for reply in (
        world.sign_in.page(urlencode(ASKED | changes)),
        world.sign_in.chosen(urlencode(ASKED | changes), "user=alice"),
    ):
        assert said(reply) == {"error": code, "iss": ISSUER, "state": "a&b=c"}


def test_the_answer_names_the_issuer_and_comes_as_it_was_asked_for() -> None:
    world = World()
    reply = world.sign_in.chosen(urlencode(ASKED | {"response_mode": "fragment"}), "user=alice")
    assert set(said(reply, "fragment")) == {"code", "iss", "state"}
    assert said(reply, "fragment")["state"] == "a&b=c"
    assert said(world.sign_in.chosen(urlencode(ASKED), "user=alice&cancel=1"))["error"] == "access_denied"


def test_the_page_is_for_the_keyboard_and_holds_nothing_of_the_request() -> None:
    world = World()
    reply = world.sign_in.page(urlencode(ASKED | {"state": "<script>alert(1)</script>"}))
    assert "script" not in reply.body
    policy = reply.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; form-action 'self' http://127.0.0.1:2;")
    assert "frame-ancestors 'none'" in policy
    nobody = world.sign_in.chosen(urlencode(ASKED), "user=<b>")
    assert nobody.status == 200
    assert 'role="alert"' in nobody.body
