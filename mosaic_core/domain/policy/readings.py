"""The readings of a text: as it stands, and with what may be hidden in it brought to light.

A text is folded (compatibility forms, case, accents, invisible characters) and read with look-alike letters of other
scripts replaced, with digits and signs read as letters, with spelt-out words joined, and with whatever it carries
encoded (base64, hexadecimal, percent, HTML, escapes, reversed, rot13).
"""

# ruff: noqa: E501 - patterns and word lists read worse when they are broken
from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

__all__ = ["PLAIN", "fold", "lower", "normalise", "readings", "unaccented"]

PLAIN: Final = "plain"


def normalise(text: str) -> str:
    """The message as it is hashed and approved: NFKC, no invisible or control characters, single spaces, trimmed.
    Case is kept, since names and codes carry meaning in it."""
    return _SPACES.sub(" ", _visible(unicodedata.normalize("NFKC", text))).strip()


_MARKS: Final = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20f0]")
_SPACES: Final = re.compile(r"\s+")
_EXTRA_LETTERS: Final = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i", "þ": "th"})
_LOOKALIKES: Final = str.maketrans(
    "аеорсухкмнтвіјѕԁԛԝһɡӏӀьѵαβγεζηικμνορτυχωϲոսցօհﺍ∂ʀꜱᴀʙᴄᴅᴇғɢʜɪᴊᴋʟᴍɴᴏᴘᴛᴜᴠᴡʏᴢɑɩ\u0131ɗʋ",
    "aeopcyxkmhtbijsdqwhgllbvabyeznikuvoptuxwcnugohldrsabcdefghijklmnoptuvwyzaiidu",
)
_LEET: Final = str.maketrans({"0": "o", "1": "l", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "9": "g"} | {"@": "a", "$": "s", "!": "i", "|": "l", "€": "e", "+": "t"})  # fmt: skip
_LEET_I: Final = str.maketrans({"1": "i", "|": "i"})
_EMOJI: Final = {"💸": " send money ", "📧": " email ", "✉": " email ", "🗑": " delete ", "🤑": " money ", "💵": " money ", "💰": " money "}  # fmt: skip


def _visible(text: str) -> str:
    """Without format characters (zero width, joiners, direction marks, tags, soft hyphens); controls as spaces."""
    kept = []
    for c in text:
        category = unicodedata.category(c)
        if category in ("Cf", "Cs", "Cn") or c in "\u115f\u1160\u3164\u034f\u17b4\u17b5" or 0xFE00 <= ord(c) <= 0xFE0F:
            continue
        kept.append("\n" if c in "\n\r\u2028\u2029\x0b\x0c\x85" else " " if category in ("Cc", "Zs") else c)
    return "".join(kept)


def lower(text: str) -> str:
    """Lower case, visible characters only, apostrophes of contractions closed; accents and line breaks kept."""
    text = _visible(unicodedata.normalize("NFKC", text))
    for sign, words in _EMOJI.items():
        text = text.replace(sign, words)
    text = unicodedata.normalize("NFKC", text.casefold())
    text = re.sub(r"[’‘`´ʼ′]", "'", text)
    text = re.sub(r"(?<=[a-z])'(t|s|d|ll|re|ve|m)\b", r"\1", text)
    text = re.sub(r"(?<=[^\W\d_])'(?=[^\W\d_])", " ", text)
    return re.sub(r"[^\S\n]+", " ", text).strip()


def unaccented(text: str) -> str:
    """Without the marks of Latin, Greek and Cyrillic letters; kana and Hangul would lose their meaning with theirs."""
    marks = unicodedata.normalize("NFD", text)
    text = unicodedata.normalize("NFC", _MARKS.sub("", marks))
    return text.translate(_EXTRA_LETTERS)


def fold(text: str) -> str:
    """Lower case without accents: the spelling in which words are looked up."""
    return unaccented(lower(text))


def readings(text: str) -> Iterator[tuple[str, str]]:
    """(reading, how it came about), the plain one first, none twice."""
    seen: set[str] = set()
    for raw, how in [(text, PLAIN), *_decoded(text)]:
        plain = fold(raw)
        latin = plain.translate(_LOOKALIKES)
        leet = _unleet(latin)
        for reading, kind in (
            (plain, how),
            (latin, how if how != PLAIN else "look-alike letters"),
            (leet, how if how != PLAIN else "signs for letters"),
            (_unleet(latin, _LEET_I), how if how != PLAIN else "signs for letters"),
            (_joined(leet), how if how != PLAIN else "spelt-out words"),
        ):
            if reading and reading not in seen:
                seen.add(reading)
                yield reading, kind


def _unleet(text: str, first: dict[int, str] | None = None) -> str:
    def word(match: re.Match[str]) -> str:
        token = match.group()
        if not re.search(r"[a-z]", token) or "." in token[1:-1] or not re.search(r"[a-z].*[a-z]|^[$@\d][a-z]", token):
            return token
        if re.fullmatch(r"[$€]?\d+(?:k|m|b|x|d|h|am|pm|usd|eur|gbp|st|nd|rd|th)?", token) or re.fullmatch(
            r"[a-z]+\d+|[$€]\d.*", token
        ):
            return token
        return (token.translate(first) if first else token).translate(_LEET)

    return re.sub(r"[^\s,;:?()]+", word, text)


def _joined(text: str) -> str:
    """Words that are spelt out ("s e n d", "p-a-y", "pa.y") closed up, with known verbs set apart again."""

    def close(match: re.Match[str]) -> str:
        letters = re.sub(r"[^a-z]", "", match.group())
        return " " + re.sub(rf"({'|'.join(_SPELT)})", r" \1 ", letters) + " "

    text = re.sub(r"(?<![a-z0-9])[a-z](?:[\s.\-_*|/~+·]+[a-z](?![a-z0-9])){2,}", close, text)
    text = re.sub(r"(?<=[a-z])[._*~·|\-](?=[a-z])", "", text)
    return re.sub(r"[^\S\n]+", " ", text).strip()


_SPELT: Final = ("please", "transfer", "delete", "cancel", "remove", "email", "money", "close", "send", "wire", "pay")


def _decoded(text: str) -> Iterator[tuple[str, str]]:
    compact = _visible(unicodedata.normalize("NFKC", text))
    for token in re.findall(r"[A-Za-z0-9+/_-]{8,}={0,2}", compact):
        padded = token.rstrip("=").replace("-", "+").replace("_", "/")
        padded += "=" * (-len(padded) % 4)
        try:
            payload = base64.b64decode(padded, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            continue
        if _legible(payload):
            yield payload, "base64"
    for token in re.findall(r"(?:\b|\\x|0x)(?:[0-9A-Fa-f]{2}(?:\s|\\x|:)?){4,}", compact):
        try:
            payload = bytes.fromhex(re.sub(r"\\x|0x|[\s:]", "", token)).decode("utf-8")
        except ValueError:
            continue
        if _legible(payload):
            yield payload, "hexadecimal"
    if re.search(r"%[0-9A-Fa-f]{2}", compact):
        yield unquote(compact, errors="replace"), "percent encoding"
    if "&" in compact and (unescaped := html.unescape(compact)) != compact:
        yield unescaped, "HTML entities"
    if re.search(r"\\u[0-9A-Fa-f]{4}", compact):
        yield re.sub(r"\\u([0-9A-Fa-f]{4})", lambda m: chr(int(m.group(1), 16)), compact), "escapes"
    # A foreign alphabet's gibberish is left alone: these two are read only where they yield everyday English.
    for payload, how in ((codecs.encode(compact, "rot13"), "rot13"), (compact[::-1], "reversed")):
        words = re.findall(r"[a-z]+", payload.casefold())
        if len(words) >= 3 and sum(word in _EVERYDAY for word in words) >= max(2, 0.5 * len(words)):
            yield payload, how


_EVERYDAY: Final = frozenset(
    """the to a my me please now all of and it for from in at bob money send pay transfer wire delete cancel close account
    everything dollars rent bill this that you is savings email""".split()
)


def _legible(text: str) -> bool:
    return (
        len(text) >= 4 and sum(c.isprintable() or c.isspace() for c in text) >= 0.95 * len(text) and " " in text.strip()
    )
