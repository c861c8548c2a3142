"""What Airflow reads about the provider: valid by Airflow's own schemas, complete, and one source for every form."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType, SimpleNamespace

import airflow
import jsonschema
import pytest
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

from airflow_provider_catalog import get_provider_info as metadata
from airflow_provider_catalog.client.settings import MAX_CONCURRENCY, MAX_PAGE_SIZE, CatalogSettings
from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.get_provider_info import CONNECTION_FIELDS, get_provider_info
from airflow_provider_catalog.hooks.catalog import EXTRAS, CatalogHook
from airflow_provider_catalog.links.analytics import CatalogAnalyticsLink
from airflow_provider_catalog.operators.analytics import CatalogProductsAnalyticsOperator, CatalogUsersAnalyticsOperator
from airflow_provider_catalog.sandbox import sandbox

SCHEMAS = Path(airflow.__file__).parent


def read_schema(name: str) -> dict:
    return json.loads((SCHEMAS / name).read_text())


def ours() -> EntryPoint:
    """Return the provider's entry point, by which Airflow finds it."""
    for point in entry_points(group="apache_airflow_provider"):
        if point.value.startswith("airflow_provider_catalog"):
            return point
    pytest.skip("the provider is not installed here, only importable")


class TestSchemas:
    def test_what_airflow_checks_when_it_starts(self):
        jsonschema.validate(get_provider_info(), read_schema("provider_info.schema.json"))

    @pytest.mark.parametrize("key", ["connection-types", "hooks", "operators", "integrations", "extra-links"])
    def test_what_airflow_checks_of_its_own_providers(self, key):
        """This schema is stricter about the form; the rest of it is about releases of Airflow's own providers."""
        schema = read_schema("provider.yaml.schema.json")
        part = schema["properties"][key] | {"definitions": schema.get("definitions", {})}
        value = get_provider_info()[key]
        assert value
        jsonschema.validate(value, part)

    def test_it_imports_nothing_of_airflow(self):
        tree = ast.parse(Path(metadata.__file__).read_text())
        imported = {
            name
            for node in ast.walk(tree)
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for name in ([node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
        }
        assert imported == {"__future__", "typing"}


class TestNames:
    def test_every_module_and_class_is_there(self):
        info = get_provider_info()
        modules = [
            module
            for section in ("hooks", "operators", "sensors", "triggers")
            for entry in info.get(section, [])
            for module in entry["python-modules"]
        ]
        assert len(modules) >= 2
        for module in modules:
            importlib.import_module(module)
        classes = [entry["hook-class-name"] for entry in info["connection-types"]] + info["extra-links"]
        for name in classes:
            module, _, attribute = name.rpartition(".")
            assert isinstance(getattr(importlib.import_module(module), attribute), type)

    @pytest.mark.parametrize("section", ["hooks", "operators", "sensors", "triggers"])
    def test_what_there_is_is_told(self, section):
        """A package of sensors, say, is of no use to a person whom Airflow does not tell of it."""
        package = Path(metadata.__file__).parent / section
        there = {f"airflow_provider_catalog.{section}.{path.stem}" for path in package.glob("[!_]*.py")}
        told = {name for entry in get_provider_info().get(section, []) for name in entry["python-modules"]}
        assert told <= there
        assert bool(told) == bool(there)

    def test_the_hook_is_what_it_says(self):
        [connection_type] = get_provider_info()["connection-types"]
        assert connection_type["connection-type"] == CatalogHook.conn_type == "instructure_catalog"
        assert connection_type["hook-name"] == CatalogHook.hook_name == "Instructure Catalog"

    def test_airflow_shows_all_of_it(self, tmp_path):
        """``airflow providers`` in a shell, where the provider is installed."""
        ours()

        def run(*arguments: str) -> str:
            done = subprocess.run(
                [sys.executable, "-m", "airflow", "providers", *arguments, "-o", "json"],
                env={"PATH": "/usr/bin:/bin", "AIRFLOW_HOME": str(tmp_path)},
                capture_output=True,
                text=True,
                check=True,
            )
            return done.stdout.splitlines()[-1]  # Airflow 3.0 prints its log before

        [shown] = json.loads(run("get", "airflow-provider-catalog", "--full"))
        info = get_provider_info()
        assert shown["package-name"] == info["package-name"]
        for section in ("hooks", "operators", "sensors", "triggers", "extra-links"):
            assert shown.get(section) == info.get(section), section
        [told] = shown["connection-types"]
        assert told["hook-name"] == "Instructure Catalog"
        assert list(told["conn-fields"]) == list(CONNECTION_FIELDS)
        assert "CatalogAnalyticsLink" in run("links")
        assert "airflow_provider_catalog.hooks.catalog.CatalogHook" in run("hooks")

    def test_the_entry_point(self):
        assert ours().load() is get_provider_info


class TestForm:
    def test_its_fields_are_the_ones_that_are_documented(self):
        labels = {name: field["label"] for name, field in CONNECTION_FIELDS.items()}
        assert labels == {
            "timeout": "Request timeout (s)",
            "page_size": "Page size",
            "max_concurrency": "Concurrent requests",
            "hash_secret": "Hash secret",
        }
        assert set(labels) < set(EXTRAS)

    @pytest.mark.parametrize("name", ["timeout", "page_size", "max_concurrency"])
    def test_numbers_have_the_defaults_and_bounds_of_the_settings(self, name):
        schema = CONNECTION_FIELDS[name]["schema"]

        def parse(value):
            return CatalogSettings.parse(base_url="https://name.example", token="t0ken", **{name: value})

        assert schema["default"] == getattr(parse(None), name)
        for allowed in (schema["minimum"], schema["maximum"]):
            assert getattr(parse(allowed), name) == allowed
        for beyond in (0, schema["maximum"] + 1):
            with pytest.raises(CatalogParameterError, match=name):
                parse(beyond)

    def test_the_help_tells_the_bounds(self):
        assert str(MAX_PAGE_SIZE) in CONNECTION_FIELDS["page_size"]["description"]
        assert str(MAX_CONCURRENCY) in CONNECTION_FIELDS["max_concurrency"]["description"]

    def test_the_same_form_on_airflow_3_0_and_3_1(self, monkeypatch):
        """These put classes of their own in the place of wtforms, and ask the hook."""
        stand_in = ModuleType("wtforms")
        stand_in.IntegerField = HookMetaService.MockIntegerField
        stand_in.PasswordField = HookMetaService.MockPasswordField
        monkeypatch.setitem(sys.modules, "wtforms", stand_in)

        widgets = CatalogHook.get_connection_form_widgets()
        assert list(widgets) == list(CONNECTION_FIELDS)
        for name, field in CONNECTION_FIELDS.items():
            param = widgets[name].param.dump()
            assert param["schema"]["title"] == field["label"]
            assert param["description"] == field["description"]
            assert param["value"] == field["schema"].get("default")
        assert widgets["timeout"].param_type == "integer"
        assert widgets["hash_secret"].param_format == "password"

        behaviour = CatalogHook.get_ui_field_behaviour()
        jsonschema.validate(behaviour, read_schema("customized_form_field_behaviours.schema.json"))
        [told] = get_provider_info()["connection-types"]
        assert {name.replace("_", "-"): value for name, value in behaviour.items()} == told["ui-field-behaviour"]


class TestLink:
    @pytest.mark.parametrize("host", ["name.example", "https://name.example/", "https://name.example"])
    def test_it_leads_to_the_page_of_the_endpoint(self, monkeypatch, host):
        monkeypatch.setenv(
            "AIRFLOW_CONN_SOME", json.dumps({"conn_type": "instructure_catalog", "host": host, "password": "t"})
        )
        operator = CatalogProductsAnalyticsOperator(task_id="pull", catalog_conn_id="some")
        [link] = operator.operator_extra_links
        assert isinstance(link, CatalogAnalyticsLink)
        assert link.get_link(operator, ti_key=None) == "https://name.example/new_analytics/products"

    def test_no_connection_no_button(self):
        operator = CatalogProductsAnalyticsOperator(task_id="pull", catalog_conn_id="there_is_none")
        assert CatalogAnalyticsLink().get_link(operator, ti_key=None) == ""

    def test_for_anything_with_a_hook_and_an_endpoint(self):
        settings = SimpleNamespace(base_url="https://name.example")
        sensor = SimpleNamespace(hook=SimpleNamespace(settings=settings), endpoint="users")
        assert CatalogAnalyticsLink().get_link(sensor, ti_key=None) == "https://name.example/new_analytics/users"


class TestTaskPage:
    def test_a_task_says_what_it_reads(self):
        task = CatalogProductsAnalyticsOperator(task_id="pull")
        assert task.doc_md.startswith("Reads products: what is sold, with its enrollments and its revenue. [API doc")
        assert CatalogProductsAnalyticsOperator(task_id="pull", doc_md="Ours.").doc_md == "Ours."
        assert CatalogProductsAnalyticsOperator(task_id="pull", doc="Ours.").doc_md is None

    def test_filters_are_shown_as_json(self):
        assert CatalogProductsAnalyticsOperator.template_fields_renderers == {"filters": "json"}
        assert CatalogProductsAnalyticsOperator.ui_color

    @pytest.mark.parametrize("filters", [{"student_ids": [4711, 4712]}, None])
    def test_the_log_of_a_pull_is_short_and_private(self, monkeypatch, task_log, filters):
        with sandbox(products=5, users=20, enrollments=40) as catalog:
            monkeypatch.setenv("AIRFLOW_CONN_CATALOG_DEFAULT", catalog.connection_json)
            rows = CatalogUsersAnalyticsOperator(task_id="pull", filters=filters).execute({})
        log = task_log()
        asking, done = [line for line in log.splitlines() if "Catalog users: " in line]
        assert f"Catalog users: asking {catalog.url}, filters: {'student_ids' if filters else 'none'}" in asking
        assert f"Catalog users: {len(rows)} rows to XCom, " in done
        assert "4711" not in log
