"""What an operator tells OpenLineage, for every format and outcome."""

from __future__ import annotations

import pytest

from airflow_provider_catalog.errors import CatalogAuthError, CatalogParameterError
from tests.catalog_server import Answer
from tests.tasks import operator

pytest.importorskip("airflow.providers.openlineage", reason="OpenLineage is not installed: make test-stores")

ROWS = [{"id": n, "student": {"email": f"s{n}@example.edu"}, "paid": True} for n in range(25)]


@pytest.mark.parametrize("suffix", ["jsonl.gz", "csv", "parquet"])
def test_a_file(serve, tmp_path, suffix):
    path = tmp_path / f"a b.{suffix}"
    with serve(ROWS) as catalog:
        pull = operator(output_path=path, filters={"account_ids": [77123]})
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


@pytest.mark.parametrize(
    ("answer", "path", "error", "is_read"),
    [
        (ROWS, None, None, True),  # rows in XCom are no output
        (lambda request: Answer(status=401), "rows.csv", CatalogAuthError, True),
        (ROWS, ".", CatalogParameterError, False),  # fails before it has a connection
    ],
)
def test_no_file(serve, tmp_path, answer, path, error, is_read):
    pull = operator(output_path=path and tmp_path / path, output_format=path and "csv")
    with serve(answer) as catalog:
        if error:
            with pytest.raises(error):
                pull.execute({})
        else:
            pull.execute({})
    lineage = pull.get_openlineage_facets_on_complete(None)
    assert [each.namespace for each in lineage.inputs] == [catalog.url] * is_read
    assert lineage.outputs == []
