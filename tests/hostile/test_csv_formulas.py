"""``csv_escape_formulas``: which cells it touches, as pandas reads them."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.tasks import operator

FORMULAS = ["=1+1", "+1-555-0100", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\0=1", "\uff1d1+1", "=", "-"]
HARMLESS = ["plain", "a=b", "-5.00", "+7", "-1e3", "'=1", " =1", "", None, -5, -2.5, True, ["=1"]]


@pytest.mark.parametrize("suffix", ["csv", "csv.gz"])
def test_formulas_are_escaped_where_that_is_wanted(serve, tmp_path, suffix):
    rows, found = [{"=name": value, "n": n} for n, value in enumerate([*FORMULAS, *HARMLESS])], {}
    for choice in (False, True):
        path = tmp_path / f"{choice}.{suffix}"
        with serve(rows):
            manifest = operator(output_path=path, csv_escape_formulas=choice).execute({})
        found[choice] = pd.read_csv(path, dtype=str, keep_default_na=False)
        assert manifest["columns"] == list(found[choice].columns) == ["'=name" if choice else "=name", "n"]
    before, after = list(found[False]["=name"]), list(found[True]["'=name"])
    assert before[: len(FORMULAS)] == FORMULAS
    assert after == [f"'{text}" for text in FORMULAS] + before[len(FORMULAS) :]
    assert list(found[True]["n"]) == list(found[False]["n"])


def test_typed_columns_are_no_formulas(serve, tmp_path):
    path = tmp_path / "rows.csv"
    types = {"=a": "decimal(12,2)", "b": "string", "t": "timestamp"}
    with serve([{"=a": "-5", "b": -5, "t": "2026-01-31"}, {"b": "-x"}]):
        fields = ["=a", "b", "t"]
        operator(output_path=path, field_types=types, fields=fields, csv_escape_formulas=True).execute({})
    assert path.read_text().splitlines() == ["'=a,b,t", "-5.00,-5,2026-01-31T00:00:00Z", ",'-x,"]
