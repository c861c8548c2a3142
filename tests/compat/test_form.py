"""The connection form as this version of Airflow describes it to its web interface, whichever way it learns of it."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

from airflow_provider_catalog.get_provider_info import CONNECTION_FIELDS, UI_FIELD_BEHAVIOUR
from tests.airflow_names import AIRFLOW
from tests.processes import python

ASK = """
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
[form] = [each for each in HookMetaService.hook_meta_data() if each.connection_type == "instructure_catalog"]
print(form.model_dump_json())
"""

ASK_AIRFLOW_2 = """
import json
from airflow.providers_manager import ProvidersManager
from airflow.www.forms import create_connection_form_class
from flask import Flask

PREFIX = "extra__instructure_catalog__"
manager = ProvidersManager()
app = Flask("airflow")
app.secret_key = "of the test"
with app.test_request_context(method="POST", data={PREFIX + "timeout": "", PREFIX + "page_size": "x"}):
    form = create_connection_form_class()()
    form.validate()
    own = {name.removeprefix(PREFIX): form[name] for name in form._fields if name.startswith(PREFIX)}
    shown = {
        "name": manager.hooks["instructure_catalog"].hook_name,
        "behaviour": manager.field_behaviours["instructure_catalog"],
        "fields": {name: [field.label.text, field.description, field.default] for name, field in own.items()},
        "refused": [name for name, field in own.items() if field.errors],
        "hash_secret": own["hash_secret"](),
    }
print(json.dumps(shown))
"""

READ_BACK = """
from airflow.models.connection import Connection
connection = Connection(conn_id="c", conn_type="instructure_catalog", extra='{"hash_secret": "s", "timeout": 9}')
try:
    from airflow.api_fastapi.core_api.datamodels.connections import ConnectionResponse
    print(ConnectionResponse.model_validate(connection).model_dump_json(by_alias=True))
except ImportError:  # Airflow 2.11
    from airflow.api_connexion.schemas.connection_schema import connection_schema
    print(connection_schema.dumps(connection))
"""

pytestmark = pytest.mark.skipif(
    AIRFLOW == (3, 0) and not find_spec("wtforms"), reason="Airflow 3.0 shows no fields without wtforms"
)


def ask(script: str) -> dict:
    """What the web interface is told, in a process of its own: Airflow 3.0 and 3.1 put stand-ins into sys.modules."""
    return json.loads(python(script, PYTHONWARNINGS="error:::airflow_provider_catalog").splitlines()[-1])


@pytest.mark.skipif(AIRFLOW >= (3, 0), reason="for Airflow 2, which makes its forms with wtforms")
def test_the_form_of_airflow_2():
    shown = ask(ASK_AIRFLOW_2)
    assert shown["name"] == "Instructure Catalog"
    assert shown["behaviour"]["relabeling"] == UI_FIELD_BEHAVIOUR["relabeling"]
    assert shown["behaviour"]["hidden_fields"] == UI_FIELD_BEHAVIOUR["hidden-fields"]
    assert shown["fields"] == {
        name: [field["label"], field["description"], field["schema"].get("default")]
        for name, field in CONNECTION_FIELDS.items()
    }
    assert 'type="password"' in shown["hash_secret"]
    assert shown["refused"] == ["page_size"], "a field that is left empty is none"


@pytest.mark.skipif(AIRFLOW < (3, 0), reason="for Airflow 3")
def test_the_form():
    form = ask(ASK)
    assert form["hook_name"] == "Instructure Catalog"
    standard, own = form["standard_fields"], form["extra_fields"]
    for name, label in UI_FIELD_BEHAVIOUR["relabeling"].items():
        assert standard[name]["title"] == label
    for name, text in UI_FIELD_BEHAVIOUR["placeholders"].items():
        assert standard[name]["placeholder"] == text
    assert {name for name, field in standard.items() if field and field["hidden"]} == {"login", "url_schema"}
    assert list(own) == list(CONNECTION_FIELDS)
    for name, field in CONNECTION_FIELDS.items():
        shown, schema = own[name]["schema"], field["schema"]
        assert shown["title"] == field["label"]
        assert own[name]["description"] == field["description"]
        assert own[name]["value"] == schema.get("default")
        if name in ("timeout", "page_size", "max_concurrency"):
            assert set(shown["type"]) & {"number", "integer"}
            # Before 3.2 a form can't bound a number; the help text tells the bounds.
            assert AIRFLOW < (3, 2) or all(shown[bound] == schema[bound] for bound in ("minimum", "maximum"))
    assert own["hash_secret"]["schema"]["format"] == "password"


def test_what_the_api_shows_of_a_connection():
    assert json.loads(ask(READ_BACK)["extra"]) == {"hash_secret": "***", "timeout": 9}
