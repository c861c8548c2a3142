"""The command line: ``python -m airflow_provider_catalog.sandbox``."""

from __future__ import annotations

import argparse
import re
import shlex
import signal
import sys
from dataclasses import fields
from threading import Event
from typing import Any, Literal, get_args, get_origin, get_type_hints

from airflow_provider_catalog.sandbox import Options, SandboxCatalog, sandbox
from airflow_provider_catalog.sandbox.options import is_loopback

PORT = 8474


def parse_options(arguments: list[str] | None = None) -> Options:
    """
    Return the options of a command line.

    :param arguments: what follows the program's name; that of this process by default.
    """
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_catalog.sandbox",
        description="A local stand-in for Instructure Catalog's Analytics API, with made-up data.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    helps = _helps()
    types = get_type_hints(Options)
    for option in fields(Options):
        parser.add_argument(
            f"--{option.name.replace('_', '-')}",
            default=PORT if option.name == "port" else option.default,
            help=helps.get(option.name),
            **_kind(option.name, types[option.name]),
        )
    chosen = parser.parse_args(arguments)
    try:
        return Options(**vars(chosen))
    except ValueError as error:
        parser.error(str(error))


def _helps() -> dict[str, str]:
    """Return the descriptions of the options, which stand in the docstring once for all."""
    found = re.findall(r":param (\w+): (.*?)(?=\n *:|\Z)", Options.__doc__ or "", re.DOTALL)
    return {name: " ".join(text.split()).replace("``", "").replace("%", "%%") for name, text in found}


def _kind(name: str, annotation: Any) -> dict[str, Any]:
    if annotation is bool:
        return {"action": "store_true"}
    if get_origin(annotation) is Literal:
        choices = get_args(annotation)
        return {"type": type(choices[0]), "choices": choices}
    if annotation not in {int, float}:
        return {"metavar": "TOKEN" if "token" in name else name.upper()}
    metavar = {"latency": "SECONDS", "fault_rate": "P"}.get(name, "N")
    return {"type": annotation, "metavar": metavar}


def greeting(options: Options, catalog: SandboxCatalog) -> str:
    """
    Return what the user needs to know to use the sandbox.

    :param options: what was asked for.
    :param catalog: what is running.
    """
    counts = ", ".join(f"{count:,} {endpoint}" for endpoint, count in catalog.row_counts.items())
    return "\n".join(
        (
            f"Catalog sandbox at {catalog.url} (its filters: {catalog.url}/docs)",
            f"Token: {catalog.token}",
            f"Data:  {counts} (seed {options.seed}, paging {options.paging})",
            "Connect Airflow to it with:",
            "",
            f"    export AIRFLOW_CONN_CATALOG_DEFAULT={shlex.quote(catalog.connection_json)}",
            "",
            "Ctrl-C stops it.",
        )
    )


def main(arguments: list[str] | None = None) -> int:
    """
    Run a sandbox until Ctrl-C or SIGTERM.

    :param arguments: what follows the program's name; that of this process by default.
    :return: the exit status: 0, or 1 when it can't listen on the host and port.
    """
    options = parse_options(arguments)
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    if not is_loopback(options.host):
        sys.stderr.write(
            f"WARNING: {options.host} can be reached from other machines, over http, with a token that is "
            "no secret. Use 127.0.0.1 unless you mean that.\n"
        )
    try:
        with sandbox(**vars(options)) as catalog:
            sys.stdout.write(greeting(options, catalog) + "\n")
            sys.stdout.flush()
            stop.wait()
    except OSError as error:
        sys.stderr.write(f"{error.strerror}; choose another with --host and --port\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
