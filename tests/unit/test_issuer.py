"""The embedded issuer's tokens and keys (its HTTP side is in the stack's contract tests)."""

from datetime import timedelta
from pathlib import Path

import jwt
import pytest

from mosaic_local import signing
from mosaic_local.errors import StateError
from mosaic_local.signing import AUDIENCE, SigningKey

ISSUER = "http://127.0.0.1:1"


def decode(key: SigningKey, token: str, audience: str = AUDIENCE) -> dict[str, object]:
    (public,) = jwt.PyJWKSet.from_dict(key.jwks()).keys
    assert jwt.get_unverified_header(token) == {"alg": "RS256", "typ": "JWT", "kid": public.key_id}
    claims: dict[str, object] = jwt.decode(token, public.key, algorithms=["RS256"], audience=audience, issuer=ISSUER)
    return claims


def test_a_token_verifies_by_the_published_key(tmp_path: Path) -> None:
    key = SigningKey.of(tmp_path)
    claims = decode(key, key.mint(ISSUER, "alice", ["Mosaic.Operator.Read"]))
    assert claims["sub"] == "alice"
    assert claims["roles"] == ["Mosaic.Operator.Read"]


def test_the_key_is_kept_with_the_state_and_private(tmp_path: Path) -> None:
    first = SigningKey.of(tmp_path)
    assert SigningKey.of(tmp_path).jwks() == first.jwks()
    assert (tmp_path / "issuer" / "key.pem").stat().st_mode & 0o077 == 0
    assert set(first.jwks()["keys"][0]) == {"kty", "n", "e", "kid", "use", "alg", "key_ops"}


def test_another_folders_token_does_not_verify(tmp_path: Path) -> None:
    ours, other = SigningKey.of(tmp_path / "a"), SigningKey.of(tmp_path / "b")
    assert ours.key_id != other.key_id
    (public,) = jwt.PyJWKSet.from_dict(ours.jwks()).keys
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(other.mint(ISSUER, "alice"), public.key, algorithms=["RS256"], audience=AUDIENCE)


def test_audience_and_lifetime_can_be_made_wrong_on_purpose(tmp_path: Path) -> None:
    key = SigningKey.of(tmp_path)
    with pytest.raises(jwt.InvalidAudienceError):
        decode(key, key.mint(ISSUER, "alice", audience="api://else"))
    with pytest.raises(jwt.ExpiredSignatureError):
        decode(key, key.mint(ISSUER, "alice", lifetime=timedelta(seconds=-60)))


def test_a_damaged_key_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "issuer").mkdir()
    (tmp_path / "issuer" / "key.pem").write_text("nonsense")
    with pytest.raises(StateError, match=r"key\.pem is not readable"):
        SigningKey.of(tmp_path)


def test_a_tool_gets_its_token_without_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {"Auth__Issuer": ISSUER, "Auth__Audience": AUDIENCE, "StateDir": str(tmp_path)}
    monkeypatch.setattr(signing, "read_stack", lambda _: {"environment": told})
    assert signing.main(["--user", "olga", "--role", "A", "--role", "B"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    claims = decode(SigningKey.of(tmp_path), out.strip())
    assert (claims["sub"], claims["roles"], claims["iss"]) == ("olga", ["A", "B"], ISSUER)


def test_a_tool_is_told_that_no_stack_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert signing.main(["--user", "olga", "--state", str(tmp_path)]) == 3
    answered = capsys.readouterr()
    assert (answered.out, answered.err.count("\n")) == ("", 1)
    assert "./mosaic up" in answered.err
