from __future__ import annotations

import pytest

from tests.output.conftest import write


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        ("", ""),
        ("plain", "plain"),
        (" a ", " a "),
        ("a,b", '"a,b"'),
        ('say "x"', '"say ""x"""'),
        ("a\nb", '"a\nb"'),
        ("a\rb", '"a\rb"'),
        ("é\0", "é\0"),
        ("x" * 200_000, "x" * 200_000),
        (True, "true"),
        (False, "false"),
        (7, "7.0"),
        (1234567890123456789, "1234567890123456789"),
        (10**60, "1" + "0" * 60),
        (7.0, "7.0"),
        (0.1, "0.1"),
        ([], "[]"),
        (["a", 1, None], '"[""a"",1,null]"'),
        ([{"a": "é"}], '"[{""a"":""é""}]"'),
    ],
)
def test_cells(save, value, cell):
    path, _ = save([{"a": value, "id": 1}], name="out.csv")
    assert path.read_bytes().decode() == f"a,id\r\n{cell},1\r\n"


def test_a_column_is_written_alike_whatever_the_values_of_the_day(save):
    """So that a reader that guesses types guesses the same for each file."""
    rows = [
        {"list_price": 10, "created_at": "2025/06/10 13:42:06 +0000", "credits": 5},
        {"list_price": "100.125", "created_at": "2025-06-10", "credits": 5.5},
        {"list_price": -0.5},
    ]
    path, _ = save(rows, name="out.csv", endpoint="products", fields=["list_price", "created_at", "credits"])
    assert path.read_bytes().decode().split("\r\n") == [
        "list_price,created_at,credits",
        "10.00,2025-06-10T13:42:06Z,5.0",
        "100.125,2025-06-10T00:00:00Z,5.5",
        "-0.50,,",
        "",
    ]


@pytest.mark.parametrize(
    ("type_name", "value", "cell"),
    [
        ("timestamp", "2023-06-05T14:46:59.944581+02:00", "2023-06-05T12:46:59.944581Z"),
        ("date", "2025/06/10 13:42:06 +0000", "2025-06-10"),
        ("decimal(38,9)", 0, "0.00"),
        ("decimal(5,0)", "7", "7"),
        ("float64", 7, "7.0"),
        ("bool", "true", "true"),
        ("string", None, ""),
    ],
)
def test_field_types_convert(save, type_name, value, cell):
    path, _ = save([{"a": {"b": value}, "id": 1}], name="out.csv", field_types={"a_b": type_name})
    assert path.read_bytes().decode() == f"a_b,id\r\n{cell},1\r\n"


def test_only_nulls_in_a_single_column_still_count_as_rows(save):
    path, info = save([{"a": None}, {"a": None}], name="out.csv")
    assert path.read_bytes() == b'a\r\n""\r\n""\r\n'
    assert info.row_count == 2


def test_for_excel(tmp_path):
    path = tmp_path / "excel.csv"
    write(path, [{"name": "Zoë"}, {"name": "=1+1"}], csv_for_excel=True)
    assert path.read_text(encoding="utf-8-sig") == "name\nZoë\n'=1+1\n"
    assert path.read_bytes().startswith(b"\xef\xbb\xbfname\r\n")
