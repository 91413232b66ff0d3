"""Secrets, endpoints of real deployments, paths of a person's machine, package indexes: none belongs in the source.

Known kinds of secrets are found by detect-secrets, without its guesses by entropy and key word, whose false alarms
teach people to look away. The rest are rules of ours. A line that must be as it is carries detect-secrets' own mark,
``pragma: allowlist secret``, which holds for both.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from detect_secrets.core.scan import scan_line
from detect_secrets.settings import transient_settings

from mosaic_ops.checks.sources import TrackedFile

ALLOWED_MARK: Final = "pragma: allowlist secret"

PUBLISHED_EMULATOR_KEY: Final = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/"  # pragma: allowlist secret
    "K1SZFPTOtr/KBHBeksoGMGw=="
)
"""Azurite's documented account key: the same on every machine in the world."""

_DETECTORS: Final = (
    "ArtifactoryDetector",
    "AWSKeyDetector",
    "AzureStorageKeyDetector",
    "BasicAuthDetector",
    "GitHubTokenDetector",
    "GitLabTokenDetector",
    "JwtTokenDetector",
    "NpmDetector",
    "OpenAIDetector",
    "PrivateKeyDetector",
    "PypiTokenDetector",
    "SendGridDetector",
    "SlackDetector",
    "StripeDetector",
    "TelegramBotTokenDetector",
    "TwilioKeyDetector",
)

_AZURE_SUFFIXES: Final = "|".join(
    re.escape(suffix)
    for suffix in (
        "servicebus.windows.net",
        "blob.core.windows.net",
        "table.core.windows.net",
        "queue.core.windows.net",
        "file.core.windows.net",
        "vault.azure.net",
        "azurewebsites.net",
        "openai.azure.com",
        "cognitiveservices.azure.com",
        "services.ai.azure.com",
        "documents.azure.com",
        "database.windows.net",
        "azconfig.io",
    )
)


@dataclass(frozen=True)
class Rule:
    """A pattern that no line may match, and what to write instead. `allowed` names matches that are harmless."""

    name: str
    pattern: re.Pattern[str]
    remedy: str
    allowed: frozenset[str] = frozenset()


RULES: Final = (
    Rule(
        "endpoint",
        re.compile(rf"(?<![\w.<>{{}}%$-])([a-z0-9][a-z0-9-]*)\.(?:{_AZURE_SUFFIXES})", re.IGNORECASE),
        "a deployment's endpoint: take it from a setting; in documents write <name>, in tests example",
        allowed=frozenset({"example", "privatelink"}),
    ),
    Rule(
        "connection key",
        re.compile(r"(?:AccountKey|SharedAccessKey|SharedAccessSignature|sig)=([A-Za-z0-9+/%]{20,}={0,2})"),
        "a key in a connection string: take it from a setting",
        allowed=frozenset({PUBLISHED_EMULATOR_KEY}),
    ),
    Rule(
        "machine path",
        re.compile(r"(?<![\w.~-])((?:/home/[a-z][\w-]*|/Users/[A-Za-z][\w-]*|/roo[t])/|[A-Z]:\\Users\\\w)"),
        "a path of one machine: derive it from the checkout or a setting",
    ),
    Rule(
        "package index",
        re.compile(
            r"(pypi\.org/simple|files\.pythonhosted\.org|registry\.npmjs\.org|registry\.yarnpkg\.com"
            r"|pkgs\.dev\.azure\.com|--(?:extra-)?index-url[ =]\S|\"resolved\":)"
        ),
        "a package index: each machine's own configuration says where packages come from",
    ),
)


def find(files: Iterable[TrackedFile]) -> list[str]:
    """One line for each finding: file, line number, rule, remedy. Never the secret itself."""
    findings = []
    plugins = [{"name": name} for name in _DETECTORS]
    with transient_settings({"plugins_used": plugins, "filters_used": []}):
        for file in files:
            if file.mode != "120000" and file.text is not None:
                findings += [f"{file.path}:{number}: {what}" for number, what in in_text(file.text)]
    return findings


def in_text(text: str) -> Iterator[tuple[int, str]]:
    """Line numbers, from 1, and what is wrong there. For secrets the caller has set detect-secrets' plugins."""
    for number, line in enumerate(text.splitlines(), start=1):
        if ALLOWED_MARK in line:
            continue
        for rule in RULES:
            if any(
                match[1].lower() not in rule.allowed and match[1] not in rule.allowed
                for match in rule.pattern.finditer(line)
            ):
                yield number, f"{rule.name}: {rule.remedy}"
        # Cuts the lines of data files, which hold nothing that a pattern should be tried on for seconds.
        for secret in scan_line(line[:4000]):
            if PUBLISHED_EMULATOR_KEY not in (secret.secret_value or ""):
                yield number, f"{secret.type}: take it from a setting"
