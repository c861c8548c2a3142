"""
### SQL over all days, without a database.

Reads the folder of orders that `catalog_daily_load` writes, a file for each day, as one table: revenue by month and
currency, by Airflow's own `AnalyticsOperator` (DataFusion), which runs SQL over files on a disk, S3, Google Cloud
Storage or Azure. It needs `apache-airflow-providers-common-sql[datafusion]>=1.34`.

The folder is that of the environment variable `CATALOG_FOLDER`, for the operator renders no template in it: an absolute
path, or a URL such as `s3://bucket/catalog`, with the id of its connection in `conn_id`. The fields of orders are those
of the sandbox (`purchase_date`, `currency`, `revenue`): a real Catalog's are not documented.
"""

from __future__ import annotations

import os
from datetime import datetime

from airflow.providers.common.sql.config import DataSourceConfig
from airflow.providers.common.sql.operators.analytics import AnalyticsOperator
from airflow.sdk import DAG

FOLDER = os.environ.get("CATALOG_FOLDER", os.path.expanduser("~/catalog"))  # noqa: PTH111 - it may be a URL

with DAG(
    dag_id="catalog_sql_over_files",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),
    tags=["catalog", "example"],
) as dag:
    # [START howto_sql_over_files]
    AnalyticsOperator(
        task_id="revenue_by_month",
        datasource_configs=[
            DataSourceConfig(
                conn_id="aws_default",  # not asked for files on a disk
                table_name="orders",
                uri=f"{FOLDER if '://' in FOLDER else 'file://' + FOLDER}/orders/",
                format="parquet",
            )
        ],
        queries=[
            """
            SELECT date_trunc('month', purchase_date) AS month, currency, count(*) AS orders, sum(revenue) AS revenue
            FROM orders GROUP BY 1, 2 ORDER BY 1, 2
            """
        ],
        max_rows_check=1000,
        result_output_format="json",
    )
    # [END howto_sql_over_files]


if __name__ == "__main__":
    dag.test()
