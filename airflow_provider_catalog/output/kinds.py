"""The kinds of values that a column holds, noted while rows are spooled, in the same space however many they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow_provider_catalog.output.convert import INT64, are_amounts, are_times, rounds_as_float
from airflow_provider_catalog.output.flatten import NULL

_EXACT_IN_FLOAT = 2**53
_PLAIN: dict[str, set[type]] = {"string": {str}, "bool": {bool}, "int64": {int}, "float64": {float}}
"""The Python types that a column of the type holds as they are."""


@dataclass(slots=True)
class Kinds:
    """
    What is known of a column's values.

    :param suggestion: the type that the column's name suggests, if any. An empty text counts as null then.
    :param types: the Python types seen, ``NoneType`` among them.
    :param low: the least integer seen, or 0.
    :param high: the greatest integer seen, or 0.
    :param rounds: whether a float64 would round some integer.
    :param fits: whether all values fit the suggested type.
    :param blank: whether some value was an empty text that counted as null.
    """

    suggestion: str | None = None
    types: set[type] = field(default_factory=set)
    low: int = 0
    high: int = 0
    rounds: bool = False
    fits: bool = True
    blank: bool = False

    def add(self, values: list[Any], types: set[type]) -> bool:
        """
        Take account of values; tell whether another type may follow from them.

        :param types: the values' Python types.
        """
        before = (len(self.types), self.rounds, self.fits)
        if self.suggestion and str in types and "" in values:
            self.blank = True
            values = [value for value in values if value != ""]
            types = {NULL, *map(type, values)}
        self.types |= types
        if int in types:
            self._add_ints(values if len(types) == 1 else [value for value in values if type(value) is int])
        if self.suggestion and self.fits and types != {NULL}:
            self.fits = self._fit(values)
        return before != (len(self.types), self.rounds, self.fits)

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
        if types == {int} and self.rounds and self.low in INT64 and self.high in INT64:
            return "int64"
        return "float64" if types and types <= {int, float} and not self.rounds else "string"

    def are_plain(self, type_name: str) -> bool:
        """Tell whether every value is one of the type as it stands."""
        if self.blank and type_name != "string":
            return False
        is_plain = self.types <= {NULL, *_PLAIN.get(type_name, ())}
        return is_plain and (type_name != "int64" or (self.low in INT64 and self.high in INT64))

    @property
    def are_exact_floats(self) -> bool:
        """Whether all values are numbers that a float64 does not round."""
        return self.types <= {int, float, NULL} and not (self.rounds or self.blank)

    def _fit(self, values: list[object]) -> bool:
        if self.suggestion == "int64":
            return self.are_plain("int64")
        return are_times(values) if self.suggestion == "timestamp" else are_amounts(values)

    def _add_ints(self, ints: list[int]) -> None:
        low, high = min(ints), max(ints)
        self.low, self.high = min(self.low, low), max(self.high, high)
        if not self.rounds and max(-low, high) > _EXACT_IN_FLOAT:
            self.rounds = any(map(rounds_as_float, ints))
