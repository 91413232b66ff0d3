"""Asks an administration endpoint as a script would: ATOM over HTTPS with a shared access signature."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from pathlib import Path
from xml.etree import ElementTree

from tests.support.amqp import parts, token

BUS = "{http://schemas.microsoft.com/netservices/2010/10/servicebus/connect}"
ATOM = "{http://www.w3.org/2005/Atom}"


class Admin:
    """Of the namespace with this connection string. ``ca_file``: None for the machine's own authorities. Entities have
    ``prefix`` before the names that are used here."""

    def __init__(self, connection: str, ca_file: Path | None = None, prefix: str = "") -> None:
        told = parts(connection)
        self._prefix = prefix
        self.base = told["Endpoint"].replace("sb://", "https://").rstrip("/") + "/"
        self._name, self._key = told["SharedAccessKeyName"], told["SharedAccessKey"]
        self._context = ssl.create_default_context(cafile=ca_file)

    def ask(
        self, method: str, path: str, description: str = "", update: bool = False, key: str | None = None
    ) -> tuple[int, ElementTree.Element | None]:
        """(status, answer); the answer of a refusal as well."""
        path = path if path.startswith("$") else self._prefix + path
        content = f'<content type="application/xml">{description}</content>'
        body = f'<entry xmlns="{ATOM.strip("{}")}">{content}</entry>'
        headers = {
            "Authorization": token(self.base + path, key or self._key, self._name),
            "Content-Type": "application/atom+xml;type=entry;charset=utf-8",
        } | ({"If-Match": "*"} if update else {})
        url = f"{self.base}{path}?timeout=60&api-version=2014-01"
        request = urllib.request.Request(url, body.encode() if description else None, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60, context=self._context) as answer:
                text = answer.read()
                return answer.status, ElementTree.fromstring(text) if text else None
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, ElementTree.fromstring(refused.read())

    def titles(self, path: str) -> list[str]:
        """Of the entries of a feed; of ``$Resources``, those with the prefix."""
        _, feed = self.ask("GET", path)
        assert feed is not None
        found = [entry.findtext(f"{ATOM}title") or "" for entry in feed.findall(f"{ATOM}entry")]
        if not path.startswith("$"):
            return found
        return [title[len(self._prefix) :] for title in found if title.lower().startswith(self._prefix)]


def hub(inner: str = "") -> str:
    return f'<EventHubDescription xmlns="{BUS.strip("{}")}">{inner}</EventHubDescription>'


def group(inner: str = "") -> str:
    return f'<ConsumerGroupDescription xmlns="{BUS.strip("{}")}">{inner}</ConsumerGroupDescription>'
