"""Where in this JSON text are its members, and how is one of them changed without touching the others?

The emulator serves every alert byte for byte as it was given: 64-bit integers, long floats, odd escapes and even invalid
UTF-8 pass through. So alerts are kept as bytes and cut with the functions below. They read the bytes as Latin-1, in which
one character is one byte and the structure of JSON is the same.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

_DECODER = json.JSONDecoder(strict=False, parse_int=str, parse_float=str)
_SPACE = re.compile(r"[ \t\r\n]*")


class Member(NamedTuple):
    name: str
    start: int          # of the quoted name
    value: int          # of the value
    end: int            # behind the value


def _skip(text: str, at: int) -> int:
    return _SPACE.match(text, at).end()


def _expect(text: str, at: int, character: str) -> int:
    if text[at:at + 1] != character:
        raise ValueError(f"expected {character!r} at byte {at}")
    return at + 1


def members(raw: bytes) -> list[Member]:
    """The members of the object that the text is, in order, repeated ones included."""
    text = raw.decode("latin-1")
    at = _skip(text, _expect(text, _skip(text, 0), "{"))
    found = []
    while text[at:at + 1] != "}":
        if found:
            at = _skip(text, _expect(text, at, ","))
        name, end = _DECODER.raw_decode(text, at)
        value = _skip(text, _expect(text, _skip(text, end), ":"))
        _, stop = _DECODER.raw_decode(text, value)
        found.append(Member(name, at, value, stop))
        at = _skip(text, stop)
    return found


def elements(raw: bytes) -> list[bytes]:
    """The elements of the array that the text is, each as its own bytes."""
    text = raw.decode("latin-1")
    at = _skip(text, _expect(text, _skip(text, 0), "["))
    found = []
    while text[at:at + 1] != "]":
        if found:
            at = _skip(text, _expect(text, at, ","))
        _, stop = _DECODER.raw_decode(text, at)
        found.append(raw[at:stop])
        at = _skip(text, stop)
    return found


def only_members(raw: bytes, names: frozenset[str]) -> bytes:
    return b"{" + b",".join(raw[m.start:m.end] for m in members(raw) if m.name in names) + b"}"


def without_member(raw: bytes, name: str) -> bytes:
    return b"{" + b",".join(raw[m.start:m.end] for m in members(raw) if m.name != name) + b"}"


def with_member(raw: bytes, name: str, value: object) -> bytes:
    """The object with one member replaced, or added at its end."""
    text = dump(value)
    for member in reversed(members(raw)):
        if member.name == name:
            return raw[:member.value] + text + raw[member.end:]
    kept = [raw[m.start:m.end] for m in members(raw)]
    return b"{" + b",".join(kept + [dump(name) + b":" + text]) + b"}"


def member_value(raw: bytes, name: str, default: object = None) -> object:
    """The value of a member as Python sees it; the last one if the name is repeated."""
    for member in reversed(members(raw)):
        if member.name == name:
            return load(raw[member.value:member.end])
    return default


def load(raw: bytes) -> object:
    return json.loads(raw.decode("utf-8", "replace"), strict=False, parse_int=_integer)


def dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) < 1000 else digits


def alerts_in(raw: bytes) -> list[bytes]:
    """The alerts of a file: a JSON array, an answer with a "value" array, one alert, or JSON lines."""
    raw = raw.strip()
    if raw.startswith(b"["):
        return elements(raw)
    text = raw.decode("latin-1")
    if not raw or _DECODER.raw_decode(text)[1] < len(raw):
        return [line.strip() for line in raw.split(b"\n") if line.strip()]
    for member in members(raw):
        if member.name == "value":
            return elements(raw[member.value:member.end])
    return [raw]
