"""Puts the results into ``docs/performance.md``: tables, and a plot."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"
PAGE, PLOT = DOCS / "performance.md", DOCS / "images" / "performance.svg"


def write(results: dict[str, Any]) -> None:
    """Replace what stands between the markers of the page, and draw the plot."""
    parts = {
        "bars": _table(["what", "bar", "measured", ""], _bars(results)),
        "peers": _table(
            [
                "",
                "rows/s",
                "of the provider's",
                "CPU s per 1,000,000 rows",
                "memory above imports",
                "TCP connections",
                "XCom",
            ],
            _peers(results["peers"]),
        ),
        "rates": _table(
            ["allowed a second", "latency", "made a second", "of what is allowed", "refused", "of", "held back for"],
            [_rate(each) for each in results["rates"]],
        ),
        "workers": _table(
            ["workers", "requests a second, together", "refused"],
            [
                [str(each["workers"]), f"{each['requests_per_second']:.0f}", str(each["refused"])]
                for each in results["workers"]
            ],
        ),
        "machine": _machine(results),
    }
    text = PAGE.read_text()
    for name, part in parts.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        text, count = re.subn(
            pattern, lambda found, part=part: found[1] + part + "\n" + found[2], text, flags=re.DOTALL
        )
        if count != 1:
            raise ValueError(f"docs/performance.md has no place for {name}")
    PAGE.write_text(text)
    PLOT.parent.mkdir(exist_ok=True)
    PLOT.write_text(_plot(results["peers"]))


def _bars(results: dict[str, Any]) -> list[list[str]]:
    table, large, peers, parse = (results[name] for name in ("table", "large", "peers", "parse"))
    body = large["one body of 1,000,000"]
    http = peers["HttpOperator"]["seconds"] / peers["provider, 8 in flight"]["seconds"]

    def times(what: str, bar: str, name: str, other: str, *, key: str = "rows_per_second") -> list[str]:
        measured = table[name][key] / table[other][key]
        sign, limit = bar.split()
        return [
            what,
            f"{bar} times",
            f"{measured:.2f} times",
            _ok(measured, float(limit)) if sign == "≥" else _ok(float(limit), measured),
        ]

    def memory(kind: str, most: int) -> list[str]:
        small, big = table[kind]["memory_mb"], large[f"{kind}, 1,000,000"]["memory_mb"]
        what, bar = f"memory above imports, 50,000 and 1,000,000 rows to {kind}", f"≤ {most} MB, within 5 MB"
        return [what, bar, f"{small:.0f} and {big:.0f} MB", _ok(max(small, big) <= most and big <= small + 5, 1)]

    most_connections = max(case["connections"] for case in table.values())
    xcom = max(case["xcom_bytes"] for case in (*table.values(), *large.values()))
    return [
        times("50,000 rows to JSON Lines, 50 ms, 8 in flight, beside a bare reader", "≥ 1.0", "jsonl", "bare reader"),
        times("the same to CSV", "≥ 0.93", "csv", "bare reader"),
        times("the same to Parquet", "≥ 0.93", "parquet", "bare reader"),
        times("20,000 rows to JSON Lines", "≥ 1.0", "jsonl, 20,000", "bare reader, 20,000"),
        ["50,000 rows to JSON Lines beside `HttpOperator`", "≥ 7 times", f"{http:.2f} times", _ok(http, 7)],
        times(
            "two pages, 4 in flight: the time of a `requests` loop",
            "≤ 1.6",
            "two pages",
            "loop, two pages",
            key="seconds",
        ),
        times(
            "ten pages, 4 in flight: the time of a `requests` loop",
            "≤ 0.55",
            "ten pages",
            "loop, ten pages",
            key="seconds",
        ),
        times(
            "one in flight, no latency, beside a `requests` loop",
            "≥ 1.9",
            "one in flight, no latency",
            "loop, no latency",
        ),
        memory("jsonl", 40),
        memory("csv", 40),
        memory("parquet", 120),
        ["one body of 1,000,000 rows, 660 MB", "≤ 150 MB", f"{body['memory_mb']:.0f} MB", _ok(150, body["memory_mb"])],
        ["XCom of a task that writes a file", "< 4 KB", f"{xcom:,.0f} bytes", _ok(4095, xcom)],
        ["TCP connections, 8 in flight", "one a slot", f"{most_connections:.0f}", _ok(8, most_connections)],
        [
            "import of the operators over `airflow.sdk`",
            "≤ 50 ms, nothing heavy",
            f"{parse['ms']:.0f} ms, {', '.join(parse['heavy']) or 'nothing heavy'}",
            _ok(parse["ms"] <= 50 and not parse["heavy"], 1),
        ],
    ]


def _ok(measured: float, bar: float) -> str:
    """Return whether the first is at least the second."""
    return "✓" if measured >= bar else "**short**"


def _peers(peers: dict[str, Any]) -> list[list[str]]:
    rows = []
    for name, found in peers.items():
        ours = peers["provider, no latency" if "no latency" in name else "provider, 8 in flight"]
        rows.append(
            [
                name if "no latency" in name else f"{name}, 50 ms",
                f"{found['rows_per_second']:,.0f}",
                f"{found['rows_per_second'] / ours['rows_per_second']:.0%}",
                f"{found['cpu'] * 20:.0f}",
                f"{found['memory_mb']:.0f} MB",
                f"{found['connections']:,.0f}",
                f"{found['xcom_bytes']:,.0f}" if found["xcom_bytes"] else "none",
            ]
        )
    return rows


def _rate(each: dict[str, Any]) -> list[str]:
    return [
        f"{each['rate']}",
        f"{each['latency'] * 1000:.0f} ms",
        f"{each['requests_per_second']:.2f}",
        f"{each['used']:.0%}",
        f"{each['refused']}",
        f"{each['rate'] * 40 + each['refused']:,}",
        f"{each['throttled_seconds']:.0f} s",
    ]


def _machine(results: dict[str, Any]) -> str:
    packages = ("apache-airflow", "requests", "msgspec", "pyarrow", "uvloop")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    loads = ", ".join(f"{name} {results[f'{name} load']:.1f}" for name in ("table", "peers", "large"))
    runs = ", ".join(f"{name} {results[f'{name} runs']}" for name in ("table", "peers", "large"))
    return (
        f"{os.cpu_count()} cores of a shared virtual machine ({platform.machine()}), Linux, Python "
        f"{platform.python_version()}, {versions}. Medians; runs: {runs}. Load when each began: {loads}."
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _plot(peers: dict[str, Any]) -> str:
    """Draw bars, the provider's first."""
    cases = [name for name in peers if "no latency" not in name]
    longest = max(peers[name]["rows_per_second"] for name in cases)
    bars = []
    for number, name in enumerate(cases):
        speed, top = peers[name]["rows_per_second"], 44 + number * 34
        width = 400 * speed / longest
        color = "#c2410c" if name.startswith("provider") else "#64748b"
        bars.append(
            f'<text x="170" y="{top + 15}" text-anchor="end">{name}</text>'
            f'<rect x="180" y="{top}" width="{width:.0f}" height="22" fill="{color}"/>'
            f'<text x="{186 + width:.0f}" y="{top + 15}">{speed:,.0f}</text>'
        )
    height = 56 + len(cases) * 34
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="680" height="{height}" viewBox="0 0 680 {height}" '
        'font-family="sans-serif" font-size="13" role="img">'
        f'<rect width="680" height="{height}" fill="white"/>'
        '<text x="10" y="24" font-weight="bold">Rows a second from a server that takes 50 ms a response</text>'
        f"{''.join(bars)}</svg>\n"
    )
