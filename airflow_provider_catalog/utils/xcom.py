"""What an XCom can hold of a row."""

from __future__ import annotations

from typing import Any

import msgspec

from airflow_provider_catalog.errors import CatalogParameterError

MAX_XCOM_DEPTH = 100
"""Levels of a row in an XCom. Airflow goes through XComs recursively, and fails at some hundreds of levels."""
_RESERVED = (b'"__classname__"', b'"__id__"', b'"__type"')
"""Keys that Airflow refuses in an XCom, or takes for an object of its own; as JSON writes them."""


def xcom_size(row: dict[str, Any], endpoint: str) -> int:
    """
    Return how many bytes of JSON a row is.

    :raises CatalogParameterError: when an XCom can't hold it: nested too deeply, or with a key of Airflow's.
    """
    try:
        content = msgspec.json.encode(row)
        # Few rows have as many brackets as they may have levels; only those are walked through.
        brackets = content.count(b"{") + content.count(b"[")
        is_too_deep = brackets > MAX_XCOM_DEPTH and _is_deeper(row, MAX_XCOM_DEPTH)
    except RecursionError:
        is_too_deep = True
    if is_too_deep:
        raise CatalogParameterError(
            f"{endpoint}: a row has more than {MAX_XCOM_DEPTH} levels, too many for an XCom; leave the field "
            "out with drop_fields, or let an operator write JSON Lines",
            endpoint=endpoint,
        )
    if any(key in content for key in _RESERVED) and _has_reserved_keys(row):
        raise CatalogParameterError(
            f"{endpoint}: write the rows to a file (output_path of an operator), or leave the field out with "
            "drop_fields: a row has a '__classname__', an '__id__', or a '__type' with a '__var', which Airflow "
            "keeps for itself in XComs",
            endpoint=endpoint,
        )
    return len(content)


def _is_deeper(value: object, levels: int) -> bool:
    """Tell whether objects and lists are nested in more than so many levels."""
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return False
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in value)


def _has_reserved_keys(value: object) -> bool:
    if isinstance(value, dict):
        is_reserved = "__classname__" in value or "__id__" in value or ("__type" in value and "__var" in value)
        return is_reserved or any(map(_has_reserved_keys, value.values()))
    return isinstance(value, list) and any(map(_has_reserved_keys, value))
