"""The kinds of values that a column holds, and the narrowest type that holds all of them exactly."""

from __future__ import annotations

from dataclasses import dataclass, field

NULL = type(None)
INT64 = range(-(2**63), 2**63)
_EXACT_IN_FLOAT = 2**53
_MAX_DECIMAL_DIGITS = 38


@dataclass(slots=True)
class Kinds:
    """
    What is known of a column's values; it takes the same space however many there are.

    :param types: the Python types seen, ``NoneType`` among them.
    :param low: the least integer seen, or 0.
    :param high: the greatest integer seen, or 0.
    :param rounds: whether some integer would be rounded as a float64.
    :param items: the same of the items of all lists seen, but nothing of lists within them: those are JSON text.
    """

    types: set[type] = field(default_factory=set)
    low: int = 0
    high: int = 0
    rounds: bool = False
    items: Kinds | None = None

    def add(self, values: list[object], *, within_list: bool = False) -> None:
        """
        Take account of values.

        :param within_list: whether they are items of lists.
        """
        types = set(map(type, values))
        self.types |= types
        if int in types:
            self._add_ints([value for value in values if type(value) is int])
        if list in types and not within_list:
            self.items = self.items or Kinds()
            items = [item for value in values if type(value) is list for item in value]
            self.items.add(items, within_list=True)

    def has_values(self) -> bool:
        """Tell whether there was anything but nulls."""
        return bool(self.types - {NULL})

    def fits_int64(self) -> bool:
        """Tell whether every integer does."""
        return self.low in INT64 and self.high in INT64

    def type_name(self) -> str:
        """
        Return the narrowest type that holds every value exactly; ``"string"`` where only text does.

        In a column of that type, a value that is no string stands as JSON text.
        """
        if self.types - {NULL} == {list} and self.items is not None:
            item_type = self.items._scalar_type()
            return f"list<{item_type}>" if item_type else "string"
        return self._scalar_type() or "string"

    def _add_ints(self, ints: list[int]) -> None:
        low, high = min(ints), max(ints)
        self.low, self.high = min(self.low, low), max(self.high, high)
        if not self.rounds and max(-low, high) > _EXACT_IN_FLOAT:
            self.rounds = any(map(rounds_as_float, ints))

    def _scalar_type(self) -> str | None:
        """Return the type of values that agree, or None when no one type but text holds them."""
        match sorted(kind.__name__ for kind in self.types - {NULL}):
            case [] | ["str"]:
                return "string"
            case ["bool"]:
                return "bool"
            case ["int"]:
                return self._int_type()
            case ["float"]:
                return "float64"
            case ["float", "int"] if not self.rounds:
                return "float64"
        return None

    def _int_type(self) -> str | None:
        if self.fits_int64():
            return "int64"
        largest = max(-self.low, self.high)
        return f"decimal({len(str(largest))},0)" if largest < 10**_MAX_DECIMAL_DIGITS else None


def rounds_as_float(value: int) -> bool:
    """Tell whether an integer would not be the same as a float64."""
    try:
        return int(float(value)) != value
    except OverflowError:
        return True
