"""A dataset, as a task writes it: days of files, and what is asked of the Catalog to know their columns."""

from __future__ import annotations

import json
from decimal import Decimal

import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

from airflow_provider_catalog.errors import CatalogParameterError
from tests.catalog_server import Pages
from tests.tasks import operator

DAYS = {
    "2026-01-01": [],
    "2026-01-02": [{"order_id": 1, "fee": 10, "note": None, "student": None}],
    "2026-01-03": [{"order_id": 2, "fee": 0.5, "note": None, "student": {"id": 5, "email": "s@example.edu"}}],
}
ALL = [row for rows in DAYS.values() for row in rows]


@pytest.fixture
def catalog(serve):
    """Serve orders by day, as the filters ask for them."""

    def answer(request):
        day = request.filters.get("purchase_date_from")
        return Pages(DAYS[day] if day else ALL)(request)

    with serve(answer) as catalog:
        yield catalog


def pull(folder, day, **parameters):
    parameters.setdefault("output_path", folder / "orders" / f"day={day}" / "orders.parquet")
    filters = {"purchase_date_from": day, "purchase_date_to": day, "account_ids": [3]}
    return operator(filters=filters, **parameters).execute({})


def test_days_with_and_without_rows_read_as_one_table(catalog, tmp_path, task_log):
    manifests = [pull(tmp_path, day, drop_fields=["student.email"]) for day in DAYS]
    columns = ["order_id", "fee", "student_id"]
    assert [manifest["columns"] for manifest in manifests] == [columns] * 3
    assert [manifest["row_count"] for manifest in manifests] == [0, 1, 1]
    days = [request.filters.get("purchase_date_from") for request in catalog.requests]
    assert None not in days[days.index("2026-01-02") :], "other days are looked at for the first file alone"
    assert all(request.filters["account_ids"] == [3] for request in catalog.requests)
    assert pc.sum(ds.dataset(tmp_path / "orders").to_table()["fee"]).as_py() == Decimal("10.5")
    assert "nothing tells their types: note; give" in task_log()
    types = json.loads((tmp_path / "orders.schema.json").read_text())["orders.parquet"]["written"]
    assert types == {"order_id": "int64", "fee": "decimal(38,9)", "student_id": "int64"}


def test_what_contradicts_earlier_files_is_told_before_the_first_request(catalog, tmp_path):
    pull(tmp_path, "2026-01-03", field_types={"student.id": "string", "fee": "decimal(12, 2)"})
    pull(tmp_path, "2026-01-03", field_types={"student_id": "string", "fee": "decimal(12,2)"})
    before = len(catalog.requests)
    for name in ("fee", "student.id", "student_id"):
        with pytest.raises(CatalogParameterError, match=rf"^field_types: leave out '{name}', or rewrite"):
            pull(tmp_path, "2026-01-02", field_types={name: "float64"})
    with pytest.raises(CatalogParameterError, match=r"call the folder fee=\.\.\. something else"):
        pull(tmp_path, "2026-01-02", output_path=tmp_path / "orders" / "fee=1" / "orders.parquet")
    assert len(catalog.requests) == before


def test_a_misspelt_field_is_told_on_a_day_without_rows_too(catalog, tmp_path):
    pull(tmp_path, "2026-01-03")
    with pytest.raises(CatalogParameterError, match=r"'student\.emial'; did you mean 'student_em"):
        pull(tmp_path, "2026-01-01", drop_fields=["student.emial"])
    assert not (tmp_path / "orders/day=2026-01-01/orders.parquet").exists()
    assert pull(tmp_path, "2026-01-01", drop_fields=["student.email"])["row_count"] == 0


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_single_file_without_rows_has_the_columns_of_other_days(catalog, tmp_path, suffix):
    path = tmp_path / f"orders.{suffix}"
    assert pull(tmp_path, "2026-01-01", output_path=path)["columns"][:2] == ["order_id", "fee"]
    assert ds.dataset(path, format=suffix).count_rows() == 0
