"""What Airflow 3 shows of a load: events of assets, a link."""

from __future__ import annotations

import pytest

from tests.catalog_server import Pages, catalog_server
from tests.tables.databases import OPERATORS, catalog_connection, context
from tests.tables.test_loads import ROWS

pytest.importorskip("airflow.sdk", reason="for Airflow 3")


def test_events_and_link(database):
    from airflow.sdk import Asset, AssetAlias
    from airflow.sdk.execution_time.context import OutletEventAccessors

    with catalog_server(Pages(ROWS)) as catalog:
        database.set_connection("catalog_default", catalog_connection(catalog))
        outlets = [Asset("orders_rows"), AssetAlias("orders_tables")]
        task = OPERATORS["orders"](
            task_id="load", sql_conn_id="warehouse", table="orders", write_disposition="replace", outlets=outlets
        )
        events = OutletEventAccessors()
        manifest = task.execute({**context(), "outlet_events": events})
    extra = events[outlets[0]].extra
    assert extra["table"] == "orders"
    assert extra["inserted"] == manifest["inserted"] == 25
    assert not extra.keys() & {"filters", "columns_added"}
    [event] = events[outlets[1]].asset_alias_events
    assert event.dest_asset_key.uri.endswith("/orders")
    assert task.operator_extra_links[0].name == "Catalog analytics"
