"""Documents of the administration endpoint: ATOM entries and feeds with a description inside, and errors."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree

from aiohttp import web

BUS = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"
_ATOM = "http://www.w3.org/2005/Atom"
_API_VERSION = "2021-05"


class RefusedError(Exception):
    """A request that is answered with an error document."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def description(body: bytes, *kinds: str) -> tuple[str, dict[str, str]]:
    """Which of these descriptions a request holds, and its fields by their local names."""
    if b"<!" in body:
        raise RefusedError(400, "document type declarations are not accepted")
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - no declarations, so no entities
    except (ElementTree.ParseError, LookupError, ValueError):
        raise RefusedError(400, "the body is not XML") from None
    for kind in kinds:
        found = root.find(f".//{{{BUS}}}{kind}")
        if found is not None:
            return kind, {child.tag.rpartition("}")[2]: "".join(child.itertext()).strip() for child in found}
    raise RefusedError(400, f"a description is expected, of what this broker has: {', '.join(kinds)}")


def wrap(title: str, host: str, inner: ElementTree.Element, created_ms: int, updated_ms: int) -> ElementTree.Element:
    entry = ElementTree.Element("entry", {"xmlns": _ATOM})
    for name, value in (
        ("id", f"https://{host}/{title}?api-version={_API_VERSION}"),
        ("title", title),
        ("published", moment(created_ms)),
        ("updated", moment(updated_ms)),
    ):
        text(entry, name, value)
    content = ElementTree.SubElement(entry, "content", {"type": "application/xml"})
    content.append(inner)
    return entry


def feed(
    entries: list[ElementTree.Element], following: str | None = None, title: str = "Queues"
) -> ElementTree.Element:
    root = ElementTree.Element("feed", {"xmlns": _ATOM})
    ElementTree.SubElement(root, "title", {"type": "text"}).text = title
    text(root, "updated", moment(0))
    if following is not None:  # the SDK takes the second link as the next page
        ElementTree.SubElement(root, "link", {"rel": "self", "href": following})
        ElementTree.SubElement(root, "link", {"rel": "next", "href": following})
    root.extend(entries)
    return root


def text(parent: ElementTree.Element, name: str, value: str) -> None:
    ElementTree.SubElement(parent, name).text = value


def moment(milliseconds: int) -> str:
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond:06d}Z"


def xml(status: int, element: ElementTree.Element) -> web.Response:
    body: bytes = ElementTree.tostring(element, encoding="utf-8", xml_declaration=True)
    return web.Response(status=status, body=body, content_type="application/atom+xml", charset="utf-8")


def error(status: int, detail: str) -> web.Response:
    root = ElementTree.Element("Error")
    ElementTree.SubElement(root, "Code").text = str(status)
    ElementTree.SubElement(root, "Detail").text = detail
    return web.Response(
        status=status, body=ElementTree.tostring(root, encoding="utf-8"), content_type="application/xml"
    )
