"""
### A report with pictures, from the tables that `catalog_warehouse` keeps.

One HTML file that needs nothing else: revenue by month, enrollments by status, the best products and how many
enrollments are completed. Amounts in different currencies are never added up: each currency has pictures of its own.
No student is in it, nor in any XCom: the database counts and sums, and only the results leave it.

It goes to `path`, a file or a URL such as `s3://aws@bucket/catalog.html`, and by mail to the addresses in `mail_to`, as
an attachment: set the mail server in Airflow's section `[smtp]`. Without addresses no mail is sent.

Made to be copied: change the SQL, which PostgreSQL, MySQL, MariaDB and SQLite all understand, or draw more.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from html import escape
from typing import Any

from airflow.providers.common.compat.sdk import BaseHook
from airflow.sdk import DAG, ObjectStoragePath, Param, get_current_context, task

MONTHS = 24  # how many of them the pictures show
QUERIES = {
    "revenue": """
        SELECT currency, SUBSTR(CAST(purchase_date AS CHAR(32)), 1, 7), SUM(revenue)
        FROM orders GROUP BY 1, 2 ORDER BY 1, 2""",
    "statuses": "SELECT enrollment_status, COUNT(*) FROM enrollments GROUP BY 1 ORDER BY 2 DESC",
    "completion": """
        SELECT SUBSTR(CAST(enrollment_date AS CHAR(32)), 1, 7), COUNT(*),
               SUM(CASE WHEN enrollment_status = 'COMPLETED' THEN 1 ELSE 0 END)
        FROM enrollments GROUP BY 1 ORDER BY 1""",
    "products": """
        SELECT currency, product_name, revenue, enrollment_count, completion_count
        FROM (SELECT currency, product_name, revenue, enrollment_count, completion_count,
                     ROW_NUMBER() OVER (PARTITION BY currency ORDER BY revenue DESC) AS place
              FROM products) AS ranked
        WHERE place <= 8 AND revenue > 0 ORDER BY currency, place""",
}
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2933; background: #f5f7fa; margin: 0 }
main { max-width: 1160px; margin: 0 auto; padding: 24px }
h1 { font-size: 26px; margin: 0 } h2 { font-size: 17px; margin: 0 0 8px }
section { background: #fff; border: 1px solid #e4e7eb; border-radius: 8px; padding: 16px 20px; margin: 16px 0 }
section { overflow-x: auto }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(460px, 100%), 1fr)); column-gap: 16px }
.pictures section { margin: 16px 0 0 }
.cards { display: flex; flex-wrap: wrap; gap: 16px } .cards section { flex: 1 0 auto; margin: 16px 0 0 }
.cards strong { display: block; font-size: 24px; white-space: nowrap } .cards span, p, .note { color: #616e7c }
svg { display: block; width: 100%; height: auto } svg text { font-size: 11px; fill: #616e7c }
table { border-collapse: collapse; width: 100% } td, th { text-align: right; padding: 4px 8px; white-space: nowrap }
td:first-child, th:first-child { text-align: left; white-space: normal; min-width: 8em }
th { font-weight: 600; color: #616e7c }
td.bar { width: 30% } td.bar div { background: #2f6f9f; height: 12px; border-radius: 2px }
"""


# [START howto_draw]
def columns(values: dict[str, float], unit: str) -> str:
    """Return a picture of a column for each month, with four lines to read it by."""
    width, height, left = 560, 210, 60
    step = (width - left - 20) / max(len(values), 1)
    top = round_up(max([*values.values(), 0]))
    parts = []
    for quarter in range(5):
        y = height - 25 - quarter * (height - 45) / 4
        parts.append(f'<line x1="{left}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e4e7eb"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{top * quarter / 4:,.0f}{unit}</text>')
    for place, (month, value) in enumerate(values.items()):
        x, size = left + place * step, max(value, 0) / top * (height - 45)
        parts.append(
            f'<rect x="{x + step * 0.15:.1f}" y="{height - 25 - size:.1f}" width="{step * 0.7:.1f}" '
            f'height="{size:.1f}" fill="#2f6f9f"><title>{escape(month)}: {value:,.2f}{unit}</title></rect>'
        )
        if (len(values) - 1 - place) % 3 == 0:
            parts.append(f'<text x="{x + step / 2:.1f}" y="{height - 8}" text-anchor="middle">{escape(month)}</text>')
    return f'<svg viewBox="0 0 {width} {height}" role="img">{"".join(parts)}</svg>'


def round_up(number: float) -> float:
    """Return where the scale of a picture ends: 100, 150, 200 and so on to 1,000, then 1,500."""
    step = 10 ** (len(f"{max(number, 100):.0f}") - 1) / 2
    return -(-max(number, 100) // step) * step


def bars(rows: Iterable[tuple[str, float, list[str]]], headings: list[str]) -> str:
    """Return a table in which each row has a bar, as long as its number, and other cells."""
    rows = list(rows)
    longest = max([number for _, number, _ in rows], default=0) or 1
    lines = [
        f'<tr><td>{escape(name)}</td><td class="bar"><div style="width:{100 * number / longest:.1f}%"></div></td>'
        f"{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
        for name, number, cells in rows
    ]
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


# [END howto_draw]


def section(title: str, content: str, note: str = "") -> str:
    """Return a part of the page."""
    return f'<section><h2>{escape(title)}</h2>{content}<div class="note">{escape(note)}</div></section>'


def card(label: str, value: str) -> str:
    """Return a figure of the first line."""
    return f"<section><span>{escape(label)}</span><strong>{escape(value)}</strong></section>"


def share(part: float | None, whole: float | None) -> str:
    """Return a part of a whole in percent; a dash where there is no whole."""
    return f"{part / whole:.0%}" if whole and part is not None else "-"


def page(figures: dict[str, list[list[Any]]], when: str) -> str:
    """Return the report as HTML."""
    revenue: dict[str, dict[str, float]] = {}
    for currency, month, amount in figures["revenue"]:
        revenue.setdefault(currency or "no currency", {})[month] = amount
    products: dict[str, list[list[Any]]] = {}
    for currency, *product in figures["products"]:
        products.setdefault(currency or "no currency", []).append(product)
    statuses = {status or "unknown": count for status, count in figures["statuses"]}
    enrolled, completed = sum(statuses.values()), statuses.get("COMPLETED", 0)

    cards = [card(f"Revenue, {currency}", f"{sum(months.values()):,.2f}") for currency, months in revenue.items()]
    cards += [card("Enrollments", f"{enrolled:,}"), card("Completed", share(completed, enrolled))]
    pictures = [
        section(f"Revenue by month, {currency}", columns(dict(list(months.items())[-MONTHS:]), ""))
        for currency, months in revenue.items()
    ]
    funnel = [("ENROLLED", enrolled), *statuses.items()]
    bars_of_funnel = bars(((name.capitalize(), n, [f"{n:,}", share(n, enrolled)]) for name, n in funnel), [""] * 4)
    pictures.append(section("Enrollments by status", bars_of_funnel))
    rates = {month: 100 * done / count for month, count, done in figures["completion"][-MONTHS:]}
    note = "The last months are lower because people are still learning."
    pictures.append(section("Completion rate, by month of enrollment", columns(rates, " %"), note))
    parts = [f'<div class="cards">{"".join(cards)}</div><div class="pictures">{"".join(pictures)}</div>']
    for currency, best in products.items():
        rows = ((name, amount, [f"{amount:,.2f}", f"{n:,}", share(done, n)]) for name, amount, n, done in best)
        headings = ["Product", "", f"Revenue, {currency}", "Enrollments", "Completed"]
        parts.append(section(f"Best products, {currency}", bars(rows, headings)))
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Catalog report</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body><main>'
        f"<h1>Catalog report</h1><p>As the warehouse was on {escape(when)}</p>{''.join(parts)}</main></body></html>"
    )


# [START howto_report]
with DAG(
    dag_id="catalog_report",
    doc_md=__doc__,
    schedule="0 6 * * 1",  # on Mondays, after catalog_warehouse
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={
        "sql_conn_id": Param("warehouse", type="string", description="The connection that catalog_warehouse loads"),
        "path": Param("~/catalog/report.html", type="string", description="Where the report goes: a file or a URL"),
        "mail_to": Param([], type="array", description="Addresses; the mail server is that of [smtp]"),
    },
    tags=["catalog", "example"],
) as dag:

    @task
    def figures(params: Any = None) -> dict[str, list[list[Any]]]:
        """Return what the queries answer, their decimals as JSON's numbers."""
        hook = BaseHook.get_connection(params["sql_conn_id"]).get_hook()
        return {
            name: [
                [value if isinstance(value, str | int | None) else round(float(value), 2) for value in row]
                for row in hook.get_records(sql)
            ]
            for name, sql in QUERIES.items()
        }

    @task
    def report(found: dict[str, list[list[Any]]], dag_run: Any = None, params: Any = None) -> str:
        """Write the file, and return where it is."""
        from pathlib import Path

        text = page(found, f"{dag_run.run_after:%Y-%m-%d %H:%M} UTC")
        path = params["path"]
        if "://" not in path:
            path = str(Path(path).expanduser().resolve())
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        ObjectStoragePath(path).write_text(text, encoding="utf-8")
        return path

    @task.short_circuit
    def somebody_wants_it(params: Any = None) -> bool:
        """Skip the mail where there are no addresses."""
        return bool(params["mail_to"])

    @task
    def mail(path: str) -> None:
        """Send the report as an attachment: mail programs show no SVG in a mail's own text."""
        import tempfile
        from pathlib import Path

        from airflow.utils.email import send_email

        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "catalog-report.html"
            copy.write_bytes(ObjectStoragePath(path).read_bytes())
            send_email(get_current_context()["params"]["mail_to"], "Catalog report", "See the attachment.", [str(copy)])

    written = report(figures())
    written >> somebody_wants_it() >> mail(written)
    # [END howto_report]


if __name__ == "__main__":
    dag.test()
