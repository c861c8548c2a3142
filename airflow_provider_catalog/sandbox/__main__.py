"""The command line: ``python -m airflow_provider_catalog.sandbox``."""

from __future__ import annotations

import argparse
import ipaddress
import re
import shlex
import signal
import sys
from contextlib import suppress
from dataclasses import fields
from threading import Event
from typing import Any, Literal, get_args, get_origin, get_type_hints

from airflow_provider_catalog.sandbox import Options, SandboxCatalog, sandbox

PORT = 8474


def parse_options(arguments: list[str] | None = None) -> Options:
    """Return the options of a command line, that of this process by default."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_catalog.sandbox",
        description="A local stand-in for Instructure Catalog's Analytics API, with made-up data.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    # The options are explained once for all, in the docstring.
    found = re.findall(r":param (\w+): (.*?)(?=\n *:|\Z)", Options.__doc__ or "", re.DOTALL)
    helps = {name: " ".join(text.split()).replace("``", "").replace("%", "%%") for name, text in found}
    types = get_type_hints(Options)
    for option in fields(Options):
        kind, choices = types[option.name], get_args(types[option.name])
        how: dict[str, Any] = {}
        if kind is bool:
            how = {"action": "store_true"}
        elif get_origin(kind) is Literal:
            how = {"type": type(choices[0]), "choices": choices}
        elif kind in (int, float):
            how = {"type": kind, "metavar": "N"}
        default = PORT if option.name == "port" else option.default
        parser.add_argument(f"--{option.name.replace('_', '-')}", default=default, help=helps[option.name], **how)
    chosen = parser.parse_args(arguments)
    try:
        return Options(**vars(chosen))
    except ValueError as error:
        parser.error(str(error))


def greeting(options: Options, catalog: SandboxCatalog) -> str:
    """Return what the user needs to know to use the sandbox."""
    counts = ", ".join(f"{count:,} {endpoint}" for endpoint, count in catalog.row_counts.items())
    port = catalog.url.rpartition(":")[2]
    container = f"From a container, the host is http://host.docker.internal:{port} or this machine's address.\n"
    return f"""\
Catalog sandbox at {catalog.url} (its filters: {catalog.url}/docs)
Token: {catalog.token}
Data:  {counts} (seed {options.seed}, paging {options.paging}), as of {catalog.now:%Y-%m-%d %H:%M} UTC
Time:  curl -X POST '{catalog.url}/sandbox/advance?days=1' lets a day pass
Connect Airflow to it with:

    export AIRFLOW_CONN_CATALOG_DEFAULT={shlex.quote(catalog.connection_json)}

{"" if is_loopback(options.host) else container}Ctrl-C stops it.
"""


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address; of names only ``localhost`` is known."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def main(arguments: list[str] | None = None) -> None:
    """Run a sandbox until Ctrl-C or SIGTERM; exit with status 1 when it can't start."""
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
            sys.stdout.write(greeting(options, catalog))
            sys.stdout.flush()
            while not stop.wait(0.5):  # on Windows, a wait without an end hears no Ctrl-C
                pass
    except OSError as error:
        sys.exit(f"{error.strerror}; choose another with --host and --port")
    except ModuleNotFoundError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
