"""The kinds of values that a column holds, noted while rows are spooled, in the same space however many they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow_provider_catalog.output.convert import EXACT_IN_FLOAT, INT64, are_amounts, are_times, rounds_as_float
from airflow_provider_catalog.output.flatten import NULL


@dataclass(slots=True)
class Kinds:
    """
    What is known of a column's values.

    :param suggestion: the type that the column's name suggests, if any. An empty text counts as null then.
    :param types: the Python types seen, ``NoneType`` among them.
    :param are_int64: whether all integers are within the range.
    :param rounds: whether a float64 would round some integer.
    :param fits: whether all values fit the suggested type.
    """

    suggestion: str | None = None
    types: set[type] = field(default_factory=set)
    are_int64: bool = True
    rounds: bool = False
    fits: bool = True

    def add(self, values: list[Any], types: set[type]) -> None:
        """Take account of values, and of their Python types."""
        if self.suggestion and str in types and "" in values:
            values = [value for value in values if value != ""]
            types = {NULL, *map(type, values)}
        self.types |= types
        if int in types:
            ints = values if len(types) == 1 else [value for value in values if type(value) is int]
            low, high = min(ints), max(ints)
            self.are_int64 = self.are_int64 and low in INT64 and high in INT64
            if not self.rounds and max(-low, high) > EXACT_IN_FLOAT:
                self.rounds = any(map(rounds_as_float, ints))
        if self.suggestion and self.fits and types != {NULL}:
            if self.suggestion == "int64":
                self.fits = self.are_int64 and types <= {int, NULL}
            else:
                self.fits = are_times(values) if self.suggestion == "timestamp" else are_amounts(values)

    @property
    def has_values(self) -> bool:
        """Whether there was anything but nulls."""
        return bool(self.types - {NULL})

    def type_name(self) -> str:
        """Return the column's type, as far as name and values tell it; ``"string"`` where only text holds them all."""
        types = self.types - {NULL}
        if self.suggestion and types and self.fits:
            return self.suggestion
        if types == {bool}:
            return "bool"
        if types == {int} and self.rounds and self.are_int64:
            return "int64"
        return "float64" if types and types <= {int, float} and not self.rounds else "string"
