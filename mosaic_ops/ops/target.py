"""What is operated: the embedded stack of this machine, or a deployment by its address."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from mosaic_ops.ops.errors import UnreachableError, UsageError

if TYPE_CHECKING:
    from mosaic_ops.ops.hub import Hub

ROOT: Final = Path(__file__).resolve().parent.parent.parent
OPERATOR: Final = "operator"
"""The subject of the embedded issuer's token."""

MEMBER: Final = "alice"
"""Whose token asks as a member of the embedded stack, where nobody is named."""

ROLES: Final = ("Mosaic.Operator.Read", "Mosaic.Operator.Replay", "Mosaic.Operator.Admin")
_TOKEN_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bus:
    """How to reach the queues: a connection string each, or a namespace and whoever is signed in."""

    connection: str = ""
    administration: str = ""
    namespace: str = ""
    ca_file: str = ""


class Target(Protocol):
    """Each part raises `UnreachableError` or `UsageError` where it cannot be had, and says what to do."""

    clock_ahead_seconds: float
    """By so much the app's clock was ahead of this machine's, by its last answer."""

    @property
    def is_embedded(self) -> bool: ...
    @property
    def base_url(self) -> str: ...
    @property
    def token(self) -> str: ...
    def member_token(self, user: str | None, *roles: str) -> str:
        """Of whoever asks as a member. The embedded issuer gives any ``user``'s (None: `MEMBER`'s); a deployment has
        the one token."""
        ...

    @property
    def bus(self) -> Bus: ...
    def hub(self, namespace: str) -> Hub: ...
    @property
    def state_dir(self) -> Path: ...
    @property
    def processes(self) -> dict[str, int]: ...
    @property
    def ends(self) -> list[dict[str, Any]]:
        """Processes that ended and were not told to, oldest first, as the embedded stack keeps them (`part`, `how`,
        `atUtc`, …); a deployment's platform tells nobody."""
        ...


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@dataclass
class EmbeddedStack:
    """The running stack of ``state``, or the one that was started last in this checkout."""

    state: Path | None = None
    clock_ahead_seconds: float = 0.0
    _asked: subprocess.Popen[str] | None = field(default=None, repr=False)
    _asking: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _token: str = field(default="", repr=False)

    is_embedded = True

    def ask_for_token(self) -> None:
        """Begin now what `token` waits for: it takes as long as the imports of the verbs."""
        if self._asked is None:
            self._asked = self._asking_for(OPERATOR, ROLES)

    def _asking_for(self, user: str, roles: Sequence[str]) -> subprocess.Popen[str]:
        named = ["--state", str(self.state.resolve())] if self.state is not None else []
        words = [word for role in roles for word in ("--role", role)]
        return subprocess.Popen(
            [sys.executable, "-m", "mosaic_local.signing", "--user", user, *words, *named],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @cached_property
    def _described(self) -> dict[str, Any]:
        folder = self.state
        try:
            if folder is None:
                folder = Path(json.loads((ROOT / ".mosaic" / "running.json").read_text("utf-8"))["stateDir"])
            described: dict[str, Any] = json.loads((folder / "stack.json").read_text("utf-8"))
            supervisor = described["processes"].get("supervisor")
        except (OSError, ValueError, KeyError, TypeError):
            raise self._none() from None
        if supervisor is not None and not is_alive(supervisor):
            raise self._none()
        return described

    def _none(self) -> UnreachableError:
        """The stack itself knows what is there instead of a running one."""
        named = [str(self.state)] if self.state is not None else []
        asked = subprocess.run(
            [sys.executable, "-m", "mosaic_local.state", *named], cwd=ROOT, capture_output=True, text=True, check=False
        )
        why = asked.stdout.strip() or "the stack cannot be found"
        return UnreachableError(why if named else f"{why}; a deployment is named by --url")

    @property
    def token(self) -> str:
        with self._asking:
            self._token = self._token or self._told_token()
        return self._token

    def _told_token(self) -> str:
        self.ask_for_token()
        asked, self._asked = self._asked, None  # whoever comes after a failure asks anew: the stack may be up by then
        assert asked is not None
        return self._given(asked)

    def member_token(self, user: str | None, *roles: str) -> str:
        return self._given(self._asking_for(user or MEMBER, roles))

    def _given(self, asked: subprocess.Popen[str]) -> str:
        try:
            out, said = asked.communicate(timeout=_TOKEN_SECONDS)
        except subprocess.TimeoutExpired:
            asked.kill()
            asked.communicate()
            raise UnreachableError("the stack's issuer gave no token") from None
        if asked.returncode != 0:
            raise UnreachableError(said.strip().removeprefix("mosaic: ") or "the stack's issuer gave no token")
        return out.strip()

    def close(self) -> None:
        """No child outlives the command."""
        if self._asked is not None and self._asked.poll() is None:
            self._asked.kill()
            self._asked.communicate()

    @property
    def _environment(self) -> dict[str, str]:
        environment: dict[str, str] = self._described["environment"]
        return environment

    @property
    def base_url(self) -> str:
        return self._environment["ApiBaseUrl"]

    @property
    def bus(self) -> Bus:
        said = self._environment
        return Bus(
            connection=said["ServiceBusConnection"],
            administration=said["ServiceBusAdministrationConnection"],
            ca_file=said["CaFile"],
        )

    def hub(self, namespace: str) -> Hub:
        from mosaic_ops.ops.hub import Hub

        if namespace:
            raise UsageError("--event-hub names a deployment's; the embedded stack has its own")
        return Hub(connection=self._environment["EventHubsConnection"])

    @property
    def state_dir(self) -> Path:
        return Path(self._environment["StateDir"])

    @property
    def processes(self) -> dict[str, int]:
        return dict(self._described["processes"])

    @property
    def ends(self) -> list[dict[str, Any]]:
        try:
            lines = (self.state_dir / "logs" / "ends.jsonl").read_text("utf-8").splitlines()
            return [json.loads(line) for line in lines]
        except (OSError, ValueError):
            return []


@dataclass
class Deployment:
    """An app by its address. ``token_command`` prints a bearer token and nothing else; without it ``MOSAIC_TOKEN`` is
    one. ``namespace`` is the Service Bus namespace's host name, for what only the queues know."""

    url: str
    token_command: str = ""
    namespace: str = ""
    clock_ahead_seconds: float = 0.0
    _asking: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _token: str = field(default="", repr=False)

    is_embedded = False

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
        if parts.scheme not in ({"http", "https"} if local else {"https"}) or not parts.hostname:
            raise UsageError(f"--url {self.url!r} is no https address; a token is sent to it")
        self.base_url = f"{parts.scheme}://{parts.netloc}"

    @property
    def token(self) -> str:
        with self._asking:
            self._token = self._token or self._told_token()
        return self._token

    def member_token(self, user: str | None, *_: str) -> str:
        if user is not None:
            raise UsageError("--as is for the embedded stack; at --url whoever the token names is asking")
        return self.token

    def _told_token(self) -> str:
        if not self.token_command:
            token = os.environ.get("MOSAIC_TOKEN", "").strip()
            if not token:
                raise UsageError(
                    "a deployment needs a token: give --token-command, for example 'az account get-access-token "
                    "--resource AUDIENCE --query accessToken -o tsv', or set MOSAIC_TOKEN"
                )
            return token
        try:
            asked = subprocess.run(
                shlex.split(self.token_command), capture_output=True, text=True, timeout=_TOKEN_SECONDS, check=False
            )
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            raise UsageError(f"the token command cannot be run ({type(error).__name__})") from None
        token = asked.stdout.strip()
        if asked.returncode != 0 or not token or len(token.split()) != 1:
            raise UsageError(f"the token command gave no token (exit {asked.returncode}); is somebody signed in?")
        return token

    @property
    def bus(self) -> Bus:
        if not self.namespace:
            raise UsageError(
                "what the queues hold needs --service-bus <name>.servicebus.windows.net, and the role Azure Service "
                "Bus Data Receiver of whoever is signed in (az login)"
            )
        return Bus(namespace=self.namespace)

    def hub(self, namespace: str) -> Hub:
        from mosaic_ops.ops.hub import Hub

        if not namespace:
            raise UsageError(
                "what the hub tells needs --event-hub <name>.servicebus.windows.net, and the role Azure Event Hubs "
                "Data Receiver of whoever is signed in (az login)"
            )
        return Hub(namespace=namespace)

    @property
    def state_dir(self) -> Path:
        raise UsageError(
            "logs and telemetry of a deployment are in Application Insights: give --workspace, its workspace's id"
        )

    @property
    def processes(self) -> dict[str, int]:
        return {}

    @property
    def ends(self) -> list[dict[str, Any]]:
        return []
