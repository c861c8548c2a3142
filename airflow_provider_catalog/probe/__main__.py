"""The command line: ``python -m airflow_provider_catalog.probe``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import closing, redirect_stdout
from typing import NoReturn

from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.client.settings import CatalogSettings, catalog_origin
from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.probe.asking import Asker, NotReachedError, say
from airflow_provider_catalog.probe.questions import ask_catalog
from airflow_provider_catalog.probe.report import make_report, text_lines

EXAMPLES = """
examples:
  CATALOG_TOKEN=... python -m airflow_provider_catalog.probe --url https://NAME.catalog.instructure.com
  python -m airflow_provider_catalog.probe --conn-id catalog_default
"""
EPILOG = f"""{EXAMPLES}
exit status:
  0  the provider reads this Catalog as it is set up
  1  something has to be done; the report says what
  2  the options or the connection are wrong; nothing was asked
  3  nothing was learnt: the Catalog is not reached, refuses the token, or has no rows in its answers
  4  stopped at --max-requests, with nothing to be done so far
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # argparse repeats what it does not know, which may be a token that was given in the wrong place.
        self.exit(2, f"{self.format_usage()}an option is unknown, missing or wrong; --help tells the rest\n{EXAMPLES}")


def _parser() -> _Parser:
    parser = _Parser(
        prog="python -m airflow_provider_catalog.probe",
        description="Asks a Catalog's Analytics API how it behaves, in a bounded number of small requests that change "
        "nothing. The report has names of fields and types, and no value, name or address out of the Catalog.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--conn-id", help="id of the Airflow connection, such as catalog_default")
    which.add_argument("--url", help="the Catalog's URL; Airflow is not needed then")
    token = "with --url: the environment variable that holds the API token (default: CATALOG_TOKEN)"  # noqa: S105
    parser.add_argument("--token-env", default="CATALOG_TOKEN", metavar="NAME", help=token)
    path = "with --url: where an endpoint is, such as orders=/api/v1/analytics/orders; may be repeated"
    parser.add_argument("--path", action="append", default=[], metavar="ENDPOINT=PATH", help=path)
    parser.add_argument("--verify", metavar="FILE", help="with --url: a CA bundle of your own")
    most = "at least 1, default: 100; about 50 are needed"
    parser.add_argument("--max-requests", type=int, default=100, metavar="N", help=most)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def _settings(options: argparse.Namespace) -> CatalogSettings:
    if options.conn_id:
        with redirect_stdout(sys.stderr):  # where Airflow's logs go belongs to the report alone
            return _settings_of_connection(options.conn_id)
    token = os.environ.get(options.token_env)
    if not token:
        raise CatalogParameterError("the environment variable with the API token (--token-env) is not set")
    paths = dict(each.partition("=")[::2] for each in options.path)
    if not paths.keys() <= ENDPOINTS.keys():
        raise CatalogParameterError(f"--path takes ENDPOINT=PATH, with ENDPOINT one of {', '.join(ENDPOINTS)}")
    return CatalogSettings.parse(
        base_url=catalog_origin(options.url), token=token, paths=paths or None, verify=options.verify
    )


def _settings_of_connection(conn_id: str) -> CatalogSettings:
    # Imported here: Airflow takes seconds, and is not needed for a URL.
    from airflow.models.connection import Connection
    from airflow.providers.common.compat.sdk import AirflowNotFoundException

    from airflow_provider_catalog.hooks.catalog import CatalogHook

    try:
        # In Airflow's database as well, where the hook itself does not look outside of a task.
        connection = Connection.get_connection_from_secrets(conn_id)
    except AirflowNotFoundException:
        raise CatalogParameterError(
            "Airflow has no such connection (--conn-id); see `airflow connections list`"
        ) from None
    return CatalogHook(conn_id).settings_of(connection)


def main(arguments: list[str] | None = None) -> int:
    """Ask, print the report, and return the exit status, as ``--help`` explains it."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.max_requests < 1:
        parser.error("--max-requests")
    try:
        asker = Asker(_settings(options), options.max_requests)
    except CatalogParameterError as error:
        say(str(error))
        return 2
    say(f"Asking {asker.settings.base_url}, at most {options.max_requests} requests ...")
    with closing(asker):
        try:
            found = ask_catalog(asker)
        except NotReachedError as error:
            say(f"The Catalog is not reached: {error}")
            return 3
    report = make_report(found, asker)
    text = json.dumps(report, indent=2, ensure_ascii=False) if options.json else "\n".join(text_lines(report))
    sys.stdout.write(f"{text}\n")
    if asker.is_complete and not any(each.first for each in found):
        return 3
    if report["to_do"]:
        return 1
    return 0 if asker.is_complete else 4


if __name__ == "__main__":
    sys.exit(main())
