"""What an operator tells OpenLineage, for every endpoint, format and outcome."""

from __future__ import annotations

import pytest

from airflow_provider_catalog.errors import CatalogAuthError, CatalogParameterError
from tests.catalog_server import Answer, catalog_server
from tests.tasks import OPERATORS

pytest.importorskip("airflow.providers.openlineage", reason="OpenLineage is not installed: make test-stores")

ROWS = [{"id": n, "student": {"email": f"s{n}@example.edu"}, "paid": True} for n in range(25)]


@pytest.mark.parametrize("suffix", ["jsonl.gz", "csv", "parquet"])
def test_a_file(serve, tmp_path, suffix):
    path = tmp_path / f"a b.{suffix}"
    with serve(ROWS, "orders") as catalog:
        pull = OPERATORS["orders"](task_id="pull", output_path=path, filters={"account_ids": [77123]})
        manifest = pull.execute({})
    lineage = pull.get_openlineage_facets_on_complete(None)
    [source], [output] = lineage.inputs, lineage.outputs
    assert (source.namespace, source.name) == (catalog.url, "orders")
    assert (output.namespace, output.name) == ("file", str(path))
    statistics = output.outputFacets["outputStatistics"]
    assert (statistics.rowCount, statistics.size) == (25, path.stat().st_size)
    fields = {field.name: field.type for field in output.facets["schema"].fields}
    assert list(fields) == manifest["columns"]
    if suffix == "jsonl.gz":
        assert fields == {"id": None, "student": None, "paid": None}
    else:
        assert (fields["id"], fields["student_email"], fields["paid"]) == ("int64", "string", "bool")
    assert "77123" not in repr(lineage), "filters may name students"
    assert "@example.edu" not in repr(lineage)


def test_rows_in_xcom_have_no_output(serve):
    with serve(ROWS, "orders") as catalog:
        pull = OPERATORS["orders"](task_id="pull")
        pull.execute({})
    lineage = pull.get_openlineage_facets_on_complete(None)
    assert [each.namespace for each in lineage.inputs] == [catalog.url]
    assert lineage.outputs == []


def test_a_task_that_fails_tells_what_it_wanted_to_read(connection, tmp_path):
    with catalog_server(lambda request: Answer(status=401)) as catalog:
        connection(catalog.url)
        pull = OPERATORS["orders"](task_id="pull", output_path=tmp_path / "rows.csv")
        with pytest.raises(CatalogAuthError):
            pull.execute({})
    lineage = pull.get_openlineage_facets_on_complete(None)
    assert [each.namespace for each in lineage.inputs] == [catalog.url]
    assert lineage.outputs == []


def test_a_task_that_fails_before_it_has_a_connection_tells_nothing(tmp_path):
    (tmp_path / "rows.csv").mkdir()
    pull = OPERATORS["orders"](task_id="pull", output_path=tmp_path / "rows.csv")
    with pytest.raises(CatalogParameterError):
        pull.execute({})
    lineage = pull.get_openlineage_facets_on_complete(None)
    assert (lineage.inputs, lineage.outputs) == ([], [])
