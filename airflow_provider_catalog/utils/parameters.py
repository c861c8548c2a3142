"""Parameters that templates and XComs may give: known when the DAG is parsed, or only when the task runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_catalog.client.filter_values import NOTHING, parse_literal
from airflow_provider_catalog.errors import CatalogParameterError

TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_VARIES = re.compile(r"\b(ti|task_instance|task|uuid|random)\b")
"""Names in a template that may give each mapped task a value of its own."""


def is_told_later(value: object) -> bool:
    """Tell whether a value is an ``XComArg``, or the like, which has none when the DAG is parsed."""
    return hasattr(value, "resolve")


def is_known(value: object) -> bool:
    """Tell whether a parameter has its value when the DAG is parsed: no ``XComArg``, and no template in it."""
    if isinstance(value, str):
        return not TEMPLATE.search(value)
    if isinstance(value, Mapping):
        return is_known([*value, *value.values()])
    if isinstance(value, list | tuple):
        return all(map(is_known, value))
    return not is_told_later(value)


def rendered_text(name: str, value: Any) -> Any:
    """
    Return what a template gave: ``None`` for blank text, anything but text as it is.

    :raises CatalogParameterError: for the text ``None``, which a template makes of a value that is not there.
    """
    if not isinstance(value, str):
        return value
    if value.strip() in NOTHING:
        raise CatalogParameterError(f"{name}: write {{{{ params.x or '' }}}} in the template: it gave {value!r}")
    return value.strip() or None


def rendered_value(name: str, value: Any) -> Any:
    """Return the same of a number or a dict, which text may be, as JSON or as Python writes it (``"100"``)."""
    text = rendered_text(name, value)
    return parse_literal(text) if isinstance(text, str) else text


def rendered_list(name: str, value: Any) -> Any:
    """Return the same of a list, which text may also be with commas: ``"['a', 'b']"``, ``"a, b"``."""
    text = rendered_text(name, value)
    if not isinstance(text, str):
        return text
    return parse_literal(text) if text[0] in "[({" else [item.strip() for item in text.split(",")]


def without_sets(value: Any) -> Any:
    """Return a parameter with lists for its sets, whose order would make a new version of the DAG at each parse."""
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    if type(value) is dict:
        return {name: without_sets(item) for name, item in value.items()}
    return value


def is_shared_by_mapped_tasks(task: Any, parameter: str) -> bool:
    """
    Tell whether each of the tasks that a task is mapped to has the same value of a parameter.

    :param task: as it is in the DAG: before it was mapped, and before its templates were rendered.
    :param parameter: one that stands for a place where each of them writes.
    """
    arguments = getattr(task, "partial_kwargs", None)
    if arguments is not None and parameter not in arguments:
        return False  # it is among those that are mapped
    maps_params = _maps_params(getattr(getattr(task, "expand_input", None), "value", None))
    value = getattr(task, parameter, None) if arguments is None else arguments[parameter]
    if value is None or (is_told_later(value) and not hasattr(value, "parts")):
        return False
    templates = TEMPLATE.findall(str(value))
    return not any(_VARIES.search(each) or (maps_params and "params" in each) for each in templates)


def _maps_params(mapped: object) -> bool:
    """Tell whether mapped tasks may have params of their own, by what they are mapped over."""
    if isinstance(mapped, Mapping):
        return "params" in mapped
    if isinstance(mapped, list | tuple):
        return any(map(_maps_params, mapped))
    return mapped is not None  # an XComArg, whose value is not known
