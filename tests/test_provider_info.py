"""What Airflow reads about the provider: valid by Airflow's own schemas, complete, and one source for every form."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import airflow
import jsonschema
import pytest

import airflow_provider_catalog
from airflow_provider_catalog.client.settings import MAX_CONCURRENCY, MAX_PAGE_SIZE, CatalogSettings
from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.get_provider_info import CONNECTION_FIELDS, get_provider_info
from airflow_provider_catalog.hooks.catalog import EXTRAS, CatalogHook
from airflow_provider_catalog.operators.analytics import CatalogProductsAnalyticsOperator, CatalogUsersAnalyticsOperator
from airflow_provider_catalog.sandbox import sandbox

PROJECT = Path(airflow_provider_catalog.__file__).parents[1]
INFO = get_provider_info()


def read_schema(name: str) -> dict:
    return json.loads((Path(airflow.__file__).parent / name).read_text())


class TestMetadata:
    def test_what_airflow_checks_when_it_starts(self):
        jsonschema.validate(INFO, read_schema("provider_info.schema.json"))

    @pytest.mark.parametrize("key", sorted(INFO.keys() - {"package-name", "name", "description"}))
    def test_what_airflow_checks_of_its_own_providers(self, key):
        """This schema is stricter about the form; the rest of it is about releases of Airflow's own providers."""
        schema = read_schema("provider.yaml.schema.json")
        jsonschema.validate(INFO[key], schema["properties"][key] | {"definitions": schema.get("definitions", {})})

    @pytest.mark.parametrize("section", ["hooks", "operators", "sensors", "triggers"])
    def test_modules_that_are_told_of_are_there(self, section):
        told = {name for entry in INFO[section] for name in entry["python-modules"]}
        assert told
        assert all(importlib.import_module(name).__doc__ for name in told)

    def test_guides_and_logo_are_there(self):
        [integration] = INFO["integrations"]
        for path in [*integration["how-to-guide"], f"/docs{integration['logo']}"]:
            assert (PROJECT / path.lstrip("/")).is_file(), path

    def test_airflow_finds_and_shows_it(self, tmp_path):
        done = subprocess.run(
            [sys.executable, "-m", "airflow", "providers", "get", INFO["package-name"], "--full", "-o", "json"],
            env={"PATH": "/usr/bin:/bin", "AIRFLOW_HOME": str(tmp_path)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        [shown] = json.loads(done.stdout.splitlines()[-1])  # Airflow 3.0 prints its log before
        for section in ("package-name", "hooks", "operators", "sensors", "triggers", "extra-links"):
            assert shown[section] == INFO[section], section
        [told] = shown["connection-types"]
        assert told["hook-name"] == CatalogHook.hook_name
        assert list(told["conn-fields"]) == list(CONNECTION_FIELDS)


class TestForm:
    def test_its_fields_are_settings(self):
        assert CONNECTION_FIELDS.keys() < set(EXTRAS)

    @pytest.mark.parametrize(
        ("name", "highest"), [("timeout", 3600), ("page_size", MAX_PAGE_SIZE), ("max_concurrency", MAX_CONCURRENCY)]
    )
    def test_numbers_have_the_defaults_and_bounds_of_the_settings(self, name, highest):
        def parse(value):
            return getattr(CatalogSettings.parse(base_url="https://name.example", token="t0ken", **{name: value}), name)

        schema = CONNECTION_FIELDS[name]["schema"]
        assert (schema["default"], schema["minimum"], schema["maximum"]) == (parse(None), parse(1), parse(highest))
        assert f"1 to {highest}" in CONNECTION_FIELDS[name]["description"]
        for beyond in (0, highest + 1):
            with pytest.raises(CatalogParameterError, match=name):
                parse(beyond)

    def test_how_it_shows_what_every_connection_has(self):
        jsonschema.validate(
            CatalogHook.get_ui_field_behaviour(), read_schema("customized_form_field_behaviours.schema.json")
        )


class TestTaskPage:
    @pytest.mark.parametrize(
        ("host", "url"),
        [
            ("name.example", "https://name.example/new_analytics/products"),
            ("https://name.example/", "https://name.example/new_analytics/products"),
            (None, ""),  # no connection, no button
        ],
    )
    def test_the_link_leads_to_the_page_of_the_endpoint(self, monkeypatch, host, url):
        if host:
            connection = {"conn_type": "instructure_catalog", "host": host, "password": "t"}
            monkeypatch.setenv("AIRFLOW_CONN_SOME", json.dumps(connection))
        operator = CatalogProductsAnalyticsOperator(task_id="pull", catalog_conn_id="some")
        [link] = operator.operator_extra_links
        assert link.get_link(operator, ti_key=None) == url

    def test_a_task_says_what_it_reads(self):
        task = CatalogProductsAnalyticsOperator(task_id="pull")
        assert task.doc_md.startswith("Reads products: what is sold, with its enrollments and its revenue. [API doc")
        assert CatalogProductsAnalyticsOperator(task_id="pull", doc_md="Ours.").doc_md == "Ours."
        assert CatalogProductsAnalyticsOperator(task_id="pull", doc="Ours.").doc_md is None

    @pytest.mark.parametrize("filters", [{"student_ids": [4711, 4712]}, None])
    def test_the_log_of_a_pull_is_short_and_private(self, monkeypatch, task_log, filters):
        with sandbox(products=5, users=20, enrollments=40) as catalog:
            monkeypatch.setenv("AIRFLOW_CONN_CATALOG_DEFAULT", catalog.connection_json)
            rows = CatalogUsersAnalyticsOperator(task_id="pull", filters=filters).execute({})
        log = task_log()
        # Airflow 3.0 logs each line to both of the places that are looked at.
        asking, done = dict.fromkeys(re.findall(r"Catalog users: (asking [^ ]+ filters: \w+|\w+ rows to XCom)", log))
        assert asking == f"asking {catalog.url}, filters: {'student_ids' if filters else 'none'}"
        assert done == f"{len(rows)} rows to XCom"
        assert "4711" not in log
