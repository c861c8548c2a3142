"""The report: what the tables say, without a student, in a file and in a mail."""

from __future__ import annotations

import json
import socketserver
import threading
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path

import pytest

from airflow_provider_catalog.hooks.catalog import CatalogHook
from tests.example_dags.conftest import load_dag
from tests.example_dags.test_examples import pytestmark  # noqa: F401 - what dag.test() warns of

SUNDAY = datetime(2026, 6, 28, 3, tzinfo=UTC)  # on Sundays, the warehouse is loaded whole


class Mailbox(socketserver.StreamRequestHandler):
    """As much of SMTP as it takes to be sent a mail; the server keeps them in ``mails``."""

    def handle(self):
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            if line.upper().startswith(b"DATA"):
                self.wfile.write(b"354 go on\r\n")
                lines = iter(self.rfile.readline, b".\r\n")
                self.server.mails.append(message_from_bytes(b"".join(lines)))
            self.wfile.write(b"250 fine\r\n")


@pytest.fixture
def mails(monkeypatch):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mailbox) as server:
        server.daemon_threads = True
        server.mails = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        settings = {"HOST": "127.0.0.1", "PORT": str(server.server_address[1]), "STARTTLS": "False"}
        for name, value in {**settings, "MAIL_FROM": "reports@example.edu"}.items():
            monkeypatch.setenv(f"AIRFLOW__SMTP__SMTP_{name}", value)
        yield server.mails
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def warehouse(run_example, tmp_path_factory):
    with pytest.MonkeyPatch.context() as environment:
        file = tmp_path_factory.mktemp("warehouse") / "warehouse.db"
        environment.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": str(file)}))
        assert load_dag("catalog_warehouse").test(logical_date=None, run_after=SUNDAY).state == "success"
        yield file


def test_the_report_has_what_the_catalog_has(warehouse, run_example, all_rows, mails):
    path = str(warehouse.parent / "new" / "report.html")
    run = run_example("catalog_report", path=path)

    assert (run.state, run.xcoms["report"], run.tasks["mail"], mails) == ("success", path, {"skipped"}, [])
    text = Path(path).read_text(encoding="utf-8")
    orders, enrollments, products = (all_rows(endpoint) for endpoint in ("orders", "enrollments", "products"))
    for currency in ("EUR", "USD"):
        revenue = sum(round(row["revenue"] * 100) for row in orders if row["currency"] == currency)
        assert f"Revenue, {currency}</span><strong>{revenue / 100:,.2f}<" in text
        best = max((row for row in products if row["currency"] == currency), key=lambda row: row["revenue"])
        assert f"{best['revenue']:,.2f}<" in text
    months = {(row["currency"], row["purchase_date"][:7]) for row in orders}
    assert {tuple(row[:2]) for row in run.xcoms["figures"]["revenue"]} == months
    for status in ("ACTIVE", "COMPLETED", "DROPPED", "CONCLUDED"):
        count = sum(row["enrollment_status"] == status for row in enrollments)
        assert [status, count] in run.xcoms["figures"]["statuses"]
    for row in CatalogHook().iter_rows("users"):
        assert row["student"]["email"] not in text
        assert row["student"]["name"] not in text


def test_the_report_is_mailed_to_whom_wants_it(warehouse, run_example, mails):
    run = run_example("catalog_report", path=str(warehouse.parent / "report.html"), mail_to=["dean@example.edu"])

    assert run.state == "success"
    [mail] = mails
    assert (mail["To"], mail["From"]) == ("dean@example.edu", "reports@example.edu")
    [attached] = [part for part in mail.walk() if part.get_filename() == "catalog-report.html"]
    assert attached.get_payload(decode=True) == (warehouse.parent / "report.html").read_bytes()


def test_names_are_text_and_nothing_to_sell_is_no_error():
    page = load_dag("catalog_report").get_task("report").python_callable.__globals__["page"]
    none: dict[str, list] = {"revenue": [], "statuses": [], "completion": [], "products": []}

    assert "Completed</span><strong>-<" in page(none, "now")
    hostile = page({**none, "products": [[None, "<script>alert(1)</script>", 1.0, 0, None]]}, "now")
    assert "<script>" not in hostile
    assert "Best products, no currency" in hostile
