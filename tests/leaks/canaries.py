"""Made-up secrets and students, and a search for them in whatever was left behind, however it is encoded."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

TOKEN = "kanarie/T0ken+7f3a9c51"  # two of its characters are others in a URL
HASH_KEY = "kanarie-hash-key-5d81"
SURNAME, LOCAL_PART = "Kanarienvögel", "zoe.kanarienvogel"
STUDENT = {
    "id": 880_055_501,
    "canvas_user_id": 10_000_880_055_502,
    "name": f"Zoë {SURNAME}",
    "email": f"{LOCAL_PART}@schule.example",
}
PURCHASER = {**STUDENT, "name": "Björn Vogelbauer", "email": "b.vogelbauer@schule.example"}
CANARIES = {
    "token": TOKEN,
    "hash key": HASH_KEY,
    "student's name": STUDENT["name"],
    "student's surname": SURNAME,
    "student's e-mail": STUDENT["email"],
    "student's local part": LOCAL_PART,
    "student's id": str(STUDENT["id"]),
    "student's Canvas id": str(STUDENT["canvas_user_id"]),
    "purchaser's name": PURCHASER["name"],
    "purchaser's e-mail": PURCHASER["email"],
    "custom field": "Kanarienweg 7",
}


def rows(endpoint: str, count: int) -> list[dict[str, Any]]:
    """Return rows of which each has a number of its own, and all the canaries but the secrets."""
    return [
        {
            "number": number,
            "endpoint": endpoint,
            "student": dict(STUDENT),
            "purchaser": dict(PURCHASER),
            "learners": [dict(STUDENT)],
            "custom_fields": {"address": CANARIES["custom field"]},
            "revenue": 12.5,
        }
        for number in range(count)
    ]


class Found(NamedTuple):
    """A canary, where it was, how it was encoded, and what stands around it."""

    place: str
    canary: str
    form: str
    around: str


def search(places: Mapping[str, str]) -> list[Found]:
    """
    Return each canary that is in a text, in any of its forms, once.

    :param places: name → text.
    """
    found = []
    for place, text in places.items():
        folded = text.casefold()
        for canary, form, encoded in FORMS:
            start = folded.find(encoded)
            if start >= 0:
                found.append(Found(place, canary, form, folded[max(0, start - 80) : start + len(encoded) + 20]))
    return found


def forms(text: str) -> Iterator[tuple[str, str]]:
    """Yield the ways in which a text may be written, by name; as it is first."""
    content = text.encode()
    yield "plain", text
    yield "backwards", text[::-1]
    yield "in JSON", json.dumps(text)[1:-1]
    yield "in Python", ascii(text)[1:-1]
    yield "as bytes in Python", repr(content)[2:-1]
    yield "in a URL", quote(text, safe="")
    yield "in a path", quote(text)
    yield "hexadecimal", content.hex()
    for name in ("md5", "sha1", "sha256"):
        yield f"{name} without a key", hashlib.new(name, content).hexdigest()
    for skipped in range(3):
        # Within a longer text, what stands before moves the six bits that a character holds.
        whole = base64.b64encode(bytes(skipped) + content).decode()
        inner = whole[-(-8 * skipped // 6) : 8 * (skipped + len(content)) // 6]
        yield "base64", inner
        yield "base64 for URLs", inner.replace("+", "-").replace("/", "_")


FORMS = [
    (canary, form, encoded)
    for canary, text in CANARIES.items()
    for encoded, form in {encoded.casefold(): form for form, encoded in reversed([*forms(text)])}.items()
]
