"""Loads into a table, as a DAG author meets them; tests/tables_servers runs them on PostgreSQL and MariaDB."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_catalog.errors import CatalogError, CatalogParameterError, CatalogStorageError
from tests.airflow_names import AIRFLOW, AirflowFailException, AirflowSkipException
from tests.catalog_server import Pages
from tests.tables.databases import OPERATORS, context

ROWS = [
    {
        "order_id": n,
        "price": n + 0.25,
        "student": {"id": n % 7, "name": f"Zoë {n}"},
        "purchased_at": "2026-06-01T12:00:00.5+02:00",
    }
    for n in range(25)
]
MERGE = {"write_disposition": "merge", "primary_key": "order_id"}
main_thread_alone = pytest.mark.skipif(AIRFLOW < (3, 0), reason="Airflow 2 executes a task in the main thread alone")


def changed(rows, **values):
    return [{**row, **values} for row in rows]


class TestReplace:
    def test_a_new_table(self, database):
        manifest = database.load(ROWS, primary_key="order_id")
        assert database.rows("order_id, price, student_id, student_name")[24] == (24, Decimal("24.25"), 3, "Zoë 24")
        expected = {
            "endpoint": "orders", "table": "orders", "write_disposition": "replace", "row_count": 25, "inserted": 25,
            "pages": 3,
        }  # fmt: skip
        assert {name: manifest[name] for name in expected} == expected
        assert manifest["columns_added"][:2] == ["order_id", "price"]
        assert len(json.dumps(manifest)) < 4096

    def test_all_rows_are_replaced_and_what_hangs_on_the_table_stays(self, database):
        database.load(ROWS)
        database.run("CREATE VIEW totals AS SELECT SUM(price) AS total FROM orders")
        manifest = database.load(ROWS[:3])
        assert (manifest["deleted"], manifest["inserted"], manifest["columns_added"]) == (25, 3, [])
        assert database.run("SELECT total FROM totals") == [(Decimal("3.75"),)]

    def test_an_empty_answer_empties_no_table_by_accident(self, database):
        assert database.load([], on_empty="write")["row_count"] == 0
        assert database.tables() == []
        database.load(ROWS)
        with pytest.raises(CatalogError, match="no row matches"):
            database.load([])
        with pytest.raises(AirflowSkipException):
            database.load([], on_empty="skip")
        assert database.rows("COUNT(*)") == [(25,)]
        assert database.load([], on_empty="write")["deleted"] == 25
        assert database.rows("COUNT(*)") == [(0,)]

    def test_a_partition(self, database):
        for day, rows in (("2026-06-01", ROWS[:10]), ("2026-06-02", ROWS[10:]), ("2026-06-01", ROWS[:4])):
            manifest = database.load(rows, partition={"day": day, "region": 3}, field_types={"day": "date"})
        assert (manifest["deleted"], manifest["inserted"]) == (10, 4)
        database.load(ROWS[:1], partition={"day": "2026-06-01", "region": 4})
        counts = database.run("SELECT day, region, COUNT(*) FROM orders GROUP BY day, region ORDER BY 1, 2")
        assert [(str(day), *rest) for day, *rest in counts] == [
            ("2026-06-01", 3, 4), ("2026-06-01", 4, 1), ("2026-06-02", 3, 15),
        ]  # fmt: skip
        database.load([], partition={"day": "2026-06-02", "region": 3})
        assert database.rows("COUNT(*)") == [(5,)]
        with pytest.raises(CatalogParameterError, match="no date"):
            database.load(ROWS, partition={"day": "yesterday", "region": 3})

    @pytest.mark.parametrize("value", [None, "", " ", "None"])
    def test_a_partition_that_renders_to_nothing(self, database, value):
        database.load(ROWS, partition={"day": "2026-06-01"})
        database.refuse("partition", ROWS, partition={"day": value})
        assert database.rows("COUNT(*)") == [(25,)]


class TestMerge:
    def merge(self, database, rows, **parameters):
        return database.load(rows, **MERGE | parameters)

    def test_known_keys_get_new_values_and_others_are_added(self, database):
        self.merge(database, ROWS[:20])
        manifest = self.merge(database, changed(ROWS[15:], price=99.5))
        assert (manifest["inserted"], manifest["updated"], manifest["deleted"]) == (5, 5, 0)
        assert database.rows("COUNT(*), SUM(price)") == [(25, Decimal(sum(range(15)) + 15 * 0.25 + 10 * 99.5))]
        assert self.merge(database, [])["row_count"] == 0
        self.merge(database, changed(ROWS, price=None))
        assert database.run("SELECT DISTINCT price FROM orders") == [(None,)]

    def test_columns_that_were_not_loaded_stay(self, database):
        self.merge(database, ROWS)
        database.run("ALTER TABLE orders ADD COLUMN note VARCHAR(20)", "UPDATE orders SET note = 'mine'")
        self.merge(database, ROWS, drop_fields=["student"])
        assert database.run("SELECT DISTINCT note FROM orders") == [("mine",)]
        assert database.rows("order_id, student_name")[3] == (3, "Zoë 3")

    def test_no_unique_index_is_needed(self, database):
        database.run("CREATE TABLE orders (order_id BIGINT, price DECIMAL(12, 2))")
        for price in (1, 2):
            self.merge(database, changed(ROWS, price=price))
        assert database.rows("COUNT(*), SUM(price)") == [(25, 50)]

    def test_a_key_of_several_columns_and_of_text(self, database):
        rows = [{"order": {"id": n}, "seat": f"Sitz {n % 2}", "state": "new"} for n in range(4)]
        key = ["order.id", "seat"]
        self.merge(database, rows, primary_key=key)
        manifest = self.merge(database, [*changed(rows, state="paid"), {**rows[0], "seat": "sitz 0"}], primary_key=key)
        assert (manifest["updated"], manifest["inserted"]) == (4, 1)
        assert [row[2] for row in database.rows("order_id, seat, state") if row[1] != "sitz 0"] == ["paid"] * 4

    def test_rows_that_share_a_key(self, database):
        manifest = self.merge(database, ROWS + ROWS[:5])
        assert (manifest["row_count"], manifest["inserted"]) == (30, 25), "equal rows count once"
        rows = [*ROWS, {**ROWS[4], "price": 1000}]
        with pytest.raises(CatalogParameterError, match=r"rows 5 and 26 share the key order_id") as caught:
            self.merge(database, rows)
        assert isinstance(caught.value, AirflowFailException)
        assert database.rows("order_id, price")[4] == (4, 4.25)
        assert self.merge(database, rows, on_duplicate_key="last")["updated"] == 25
        assert database.rows("order_id, price")[4] == (4, 1000)

    def test_rows_that_differ_in_case_alone_are_not_equal(self, database):
        rows = [{"order_id": 1, "name": "a" * 2000 + end} for end in "bB"]
        with pytest.raises(CatalogParameterError, match="rows 1 and 2"):
            self.merge(database, rows)

    def test_a_null_key(self, database):
        with pytest.raises(CatalogParameterError, match=r"null in row 26"):
            self.merge(database, [*ROWS, {"order_id": None}])

    def test_a_key_that_is_no_column(self, database):
        with pytest.raises(CatalogParameterError, match=r"'id'.*there are order_id, price"):
            self.merge(database, ROWS, primary_key="id")
        self.merge(database, ROWS)
        database.refuse("has no 'id'", ROWS, **MERGE | {"primary_key": "id"})


class TestAppend:
    def append(self, database, rows, **parameters):
        return database.load(rows, write_disposition="append", **parameters)

    def test_a_retry_replaces_its_own_rows(self, database):
        for run in ("a_1", "a%1", "aX1"):  # names of runs are no patterns
            self.append(database, ROWS, run=run)
        manifest = self.append(database, ROWS[:12], run="a_1", attempt=2)
        assert (manifest["deleted"], manifest["inserted"]) == (25, 12)
        assert database.rows("COUNT(*)") == [(62,)]

    @main_thread_alone
    def test_a_try_that_was_given_up_writes_nothing_after_its_retry(self, database):
        retries = [2]

        def answer(request):
            while retries:
                self.append(database, ROWS, attempt=retries.pop())
            return Pages([{"order_id": 1000}])(request)

        with pytest.raises(CatalogStorageError, match="a later try"):
            self.append(database, answer, attempt=1)
        assert database.rows("COUNT(*), MAX(order_id)") == [(25, 24)]
        # A run that was deleted and made anew counts its tries from 1 again.
        assert self.append(database, ROWS[:2], attempt=1)["deleted"] == 25

    def test_load_columns(self, database):
        before = datetime.now(UTC)
        self.append(database, ROWS, run="manual__1", attempt=3)
        [(load_id, loaded_at)] = database.run("SELECT DISTINCT _load_id, _loaded_at FROM orders")
        assert load_id == "warehouse/manual__1/load/-1#3"
        assert before <= datetime.fromisoformat(str(loaded_at)).replace(tzinfo=UTC) <= datetime.now(UTC)
        manifest = self.append(database, ROWS, table="others", load_columns=False)
        assert manifest["columns_added"] == ["order_id", "price", "student_id", "student_name", "purchased_at"]


class TestColumns:
    def test_new_columns(self, database, caplog):
        database.load(changed(ROWS, coupon=None))
        assert "null in every row: 'coupon'" in caplog.text
        more = changed(ROWS, refunded_at="2026-07-01", coupon={"code": "X"})
        with pytest.raises(CatalogParameterError, match=r"on_new_columns.*'refunded_at', 'coupon_code'"):
            database.load(more, on_new_columns="fail")
        assert database.load(more, on_new_columns="ignore")["columns_added"] == []
        assert database.load(more)["columns_added"] == ["refunded_at", "coupon_code"]
        assert database.rows("order_id, coupon_code")[0] == (0, "X")
        assert database.load(changed(ROWS, coupon=5))["columns_added"] == ["coupon"], "left out until it has a value"

    @pytest.mark.parametrize(
        "name",
        [
            "order", "Employee ID", "50 %", "%(p0)s", ":name", 'in "quotes"', "`b`", "it's", "naïve", "a" * 200,
            "é" * 60, "{x}", "x;--",
        ],
    )  # fmt: skip
    def test_any_name(self, database, name):
        if name == "%(p0)s" and sa.__version__.startswith("2.0"):
            pytest.skip("SQLAlchemy 2.0 takes it for a parameter of its own, and fails")
        for price in (1, 2):
            manifest = database.load([{"order_id": 1, name: price}], load_columns=False, **MERGE)
        assert manifest["columns_added"] == [], "found again"
        assert database.run("SELECT * FROM orders") == [(1, 2)]

    def test_names_that_are_too_long_don_t_clash(self, database):
        names = ["a" * 2000 + end for end in "xy"]
        database.load([{"order_id": 1, names[0]: 1, names[1]: 2}], load_columns=False)
        assert database.run("SELECT * FROM orders") == [(1, 1, 2)]

    def test_columns_that_have_no_type(self, database):
        """SQLite has them."""
        kind = "" if database.kind == "sqlite" else "bigint"
        database.run(f"CREATE TABLE orders (order_id {kind}, price {kind})")
        for price in (1, 2):
            database.load([{"order_id": 1, "price": price}], **MERGE)
        assert database.rows("order_id, price") == [(1, 2)]

    def test_columns_are_found_whatever_their_case(self, database):
        database.run(f"CREATE TABLE orders ({database.q('Order_ID')} BIGINT)")
        database.load([{"order_id": 1}], load_columns=False, **MERGE)
        assert database.run("SELECT * FROM orders") == [(1,)]

    def test_a_column_that_nobody_fills(self, database):
        database.run(
            "CREATE TABLE orders (order_id BIGINT, branch VARCHAR(9) NOT NULL, made VARCHAR(9) DEFAULT 'x' NOT NULL)"
        )
        with pytest.raises(CatalogParameterError, match="'branch'"):
            database.load([{"order_id": 1}])

    def test_all_types(self, database):
        row = {
            "n": 2**53 - 1, "count": -(2**63), "price": "12345.67", "text": "tab\t\\N \\ \n\r 'q' \U0001f600",
            "flag": True, "at": "1850-01-01T00:00:00.123456Z", "tags": ["a", {"b": 1}], "empty": "", "mixed": 5,
            "day": "2026-06-30",
        }  # fmt: skip
        rows = [row, dict.fromkeys(row) | {"mixed": "x"}]
        database.load(rows, field_types={"day": "date", "n": "int64"}, load_columns=False)
        names = ", ".join(database.q(name) for name in row)
        first, second = sorted(database.run(f"SELECT {names} FROM orders"), key=lambda row: row[0] is None)
        found = dict(zip(row, first, strict=True))
        assert found.pop("price") == Decimal("12345.67") or database.kind == "sqlite"
        assert str(found.pop("at"))[:26] == "1850-01-01 00:00:00.123456"
        assert str(found.pop("day")) == "2026-06-30"
        assert found == {
            "n": 2**53 - 1, "count": -(2**63), "text": row["text"], "flag": True, "tags": '["a",{"b":1}]', "empty": "",
            "mixed": "5",
        }  # fmt: skip
        assert second == (None,) * 8 + ("x", None)

    def test_products_as_documented(self, database):
        to_products = {"endpoint": "products", "table": "products", **MERGE, "primary_key": "product_id"}
        product = {"product": {"id": 5, "name": "Course"}, "promo_codes": ["A", "B"], "list_price": 10}
        database.load([product], **to_products)
        [(codes, sku)] = database.rows("promo_codes, product_sku", "products")
        assert (json.loads(codes) if isinstance(codes, str) else codes) == ["A", "B"]
        assert sku is None
        assert database.load([product | {"created_at": None}], **to_products)["columns_added"] == []


class TestFit:
    @pytest.mark.parametrize(
        ("kind", "value", "says"),
        [
            ("INTEGER", 49.99, "'amount'"),
            ("INTEGER", 2**40, "-2,147,483,648 to 2,147,483,647"),
            ("SMALLINT", 40_000, "32,767"),
            ("DECIMAL(12, 2)", 49.999, "digits after the point: 2"),
            ("DECIMAL(6, 2)", 12345.0, "digits before the point: 4"),
            ("VARCHAR(3)", "abcd", "3 characters"),
            ("DATE", "soon", "'date'"),
        ],
    )
    def test_what_does_not_fit_is_not_bent(self, database, kind, value, says):
        database.run(f"CREATE TABLE orders (order_id BIGINT, amount {kind})")
        database.load([{"order_id": 1, "amount": None}])
        with pytest.raises(CatalogParameterError) as caught:
            database.load([*({"order_id": n} for n in range(2, 12)), {"order_id": 12, "amount": value}])
        message = str(caught.value)
        assert says in message
        assert "row 11" in message
        assert str(value) not in message
        assert database.rows("COUNT(*)") == [(1,)]

    def test_a_type_that_contradicts_the_table(self, database):
        database.run("CREATE TABLE orders (order_id BIGINT, amount INTEGER)")
        database.refuse("'amount'.*field_types", ROWS, field_types={"amount": "timestamp"})
        database.refuse("'amount'.*hash_fields.*'string'", ROWS, hash_fields=["amount"])


class TestParameters:
    @pytest.mark.parametrize(
        ("parameters", "says"),
        [
            ({"write_disposition": "upsert"}, "write_disposition"),
            ({"on_duplicate_key": "first"}, "on_duplicate_key"),
            ({"on_new_columns": "drop"}, "on_new_columns"),
            ({"on_data_moved": "ignore"}, "on_data_moved"),
            ({"on_empty": "ok"}, "on_empty"),
            ({"load_columns": "yes"}, "load_columns"),
            ({"field_types": {"a": "money"}}, "field_types"),
            ({"filters": {"colour": 1}}, "colour"),
            ({"write_disposition": "merge"}, "primary_key"),
        ],
    )
    def test_told_when_the_dag_is_parsed(self, database, parameters, says):
        with pytest.raises(CatalogError, match=says):
            database.task(**parameters)

    @pytest.mark.parametrize(
        ("parameters", "says"),
        [
            ({"sql_conn_id": "nowhere"}, "'nowhere'"),
            ({"sql_conn_id": "catalog_default"}, "SQL database"),
            ({"sql_conn_id": "big"}, "GCSToBigQueryOperator"),
            ({"sql_conn_id": "oracle"}, "SQL\\*Loader"),
            ({"table": "a.b.c"}, "schema.table"),
            ({"table": "None"}, "table"),
            ({"table": "nowhere.orders"}, "create the schema .nowhere."),
            ({"write_disposition": "{{ 'merge' }}"}, "write_disposition"),
        ],
    )
    def test_told_before_the_first_request(self, database, parameters, says):
        for conn_id, kind in (("big", "gcpbigquery"), ("oracle", "oracle")):
            database.set_connection(conn_id, {"conn_type": kind})
        assert isinstance(database.refuse(says, ROWS, **parameters), AirflowFailException)

    def test_mapped_tasks_that_would_replace_each_other(self, database):
        def run(map_index=1, **partial):
            common = {"sql_conn_id": "warehouse", "table": "orders", "write_disposition": "replace", **partial}
            with DAG("warehouse") as dag:
                OPERATORS["orders"].partial(task_id="load", **common).expand(filters=[{"account_ids": [1]}, {}])
            task = dag.get_task("load").unmap({"filters": {}})  # as Airflow makes the tasks of a mapped one
            with database.catalog(ROWS):
                return task.execute({**context(map_index=map_index), "dag": dag})

        with pytest.raises(CatalogParameterError, match="each over the one before"):
            run()
        run(partition={"day": "x"})
        run(map_index=-1)


@main_thread_alone
def test_loads_at_once_into_a_table_that_is_not_there_yet(database):
    def load(number):
        rows = [{"order_id": number * 100 + n, "price": n} for n in range(50)]
        return database.load(rows, run=str(number), catalog_conn_id=f"c{number}", **MERGE)

    with ThreadPoolExecutor(4) as pool:
        assert [manifest["inserted"] for manifest in pool.map(load, range(4))] == [50] * 4
    assert database.tables() == ["orders"]
    assert database.rows("COUNT(*)") == [(200,)]


def test_a_database_that_is_not_there_is_tried_again(database):
    elsewhere = {"host": "/nowhere/at/all"} if database.kind == "sqlite" else {"host": "127.0.0.2", "port": 9}
    error = database.refuse("check the connection 'changed'", ROWS, changes=elsewhere)
    assert isinstance(error, CatalogStorageError)
    assert not isinstance(error, AirflowFailException)
