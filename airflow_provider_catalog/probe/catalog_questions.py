"""Which questions are asked in which order; those that are asked once, of one endpoint that answers, among them."""

from __future__ import annotations

from typing import Any

from airflow_provider_catalog.client.connection_check import COURSES
from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.probe.asking import Asker, Encoding, OutOfRequestsError
from airflow_provider_catalog.probe.endpoint_questions import NOBODY, QUESTIONS, date_stem, get_method
from airflow_provider_catalog.probe.facts import EndpointFacts, Facts, effect

FORMS: tuple[Encoding, ...] = ("form", "form without []")
DATE_FORMATS = {
    "YYYY-MM-DDTHH:MM:SSZ": "2999-01-01T00:00:00Z",
    "YYYY-MM-DD": "2999-01-01",
    "YYYY-MM-DDTHH:MM:SS.ffffffZ": "2999-01-01T00:00:00.123456Z",
    "YYYY-MM-DDTHH:MM:SS+HH:MM": "2999-01-01T00:00:00+02:00",
    "YYYY/MM/DD HH:MM:SS +HHMM": "2999/01/01 00:00:00 +0000",
}
"""Layout → a moment so late that no row matches it as the start of a window, if it is understood."""


def ask_catalog(asker: Asker) -> Facts:
    """
    Ask all the questions, the most important ones first.

    :raises NotReachedError: when the Catalog does not answer at all.
    """
    paths = asker.client.settings.paths
    facts = Facts(
        {name: EndpointFacts(endpoint, paths.get(endpoint.name, endpoint.path)) for name, endpoint in ENDPOINTS.items()}
    )
    try:
        _ask_all(asker, facts)
    except OutOfRequestsError:
        facts.complete = False
    return facts


def _ask_all(asker: Asker, facts: Facts) -> None:
    for question in QUESTIONS:
        for each in facts.endpoints.values():
            question(asker, each)
        if any(each.post and each.post.status in (401, 403) for each in facts.endpoints.values()) and not facts.courses:
            facts.courses = asker.get(COURSES)
        if not facts.learnt and question is get_method:
            return
    dated = next((each for each in facts.endpoints.values() if _reads_filters(each) and date_stem(each)), None)
    if dated:
        _date_formats(asker, facts, dated)
        _wrong_filters(asker, facts, dated)
    listed = next((each for each in facts.endpoints.values() if _reads_filters(each) and _account(each)), None)
    if listed:
        _forms(asker, facts, listed, _account(listed))


def _reads_filters(each: EndpointFacts) -> bool:
    return each.effects.get(each.encoding) == "read"


def _account(each: EndpointFacts) -> Any:
    """Return the id of an account that has rows; it is sent back to the Catalog, and never told."""
    return next((row["account_id"] for row in each.sample if isinstance(row, dict) and row.get("account_id")), None)


def _date_formats(asker: Asker, facts: Facts, each: EndpointFacts) -> None:
    name = f"{date_stem(each)}_from"
    for layout, moment in DATE_FORMATS.items():
        answer = asker.post(each.path, {name: moment}, encoding=each.encoding)
        facts.date_formats[layout] = effect(answer, each.endpoint.root_key)


def _wrong_filters(asker: Asker, facts: Facts, each: EndpointFacts) -> None:
    answer = asker.post(each.path, {"no_such_filter": 1}, encoding=each.encoding)
    facts.unknown_filter = effect(answer, each.endpoint.root_key), str(answer)
    answer = asker.post(each.path, {f"{date_stem(each)}_from": "no date"}, encoding=each.encoding)
    facts.bad_value = effect(answer, each.endpoint.root_key), str(answer)


def _forms(asker: Asker, facts: Facts, each: EndpointFacts, account: Any) -> None:
    """Ask how lists are written in a form. A server that takes the first or the last item only finds nobody's rows."""
    key = each.endpoint.root_key
    for form in FORMS:
        facts.forms[form] = found = effect(asker.post(each.path, {"account_ids": [NOBODY]}, encoding=form), key)
        if found == "read":
            answer = asker.post(each.path, {"account_ids": [NOBODY, account, NOBODY]}, encoding=form)
            facts.form_lists[form] = bool(answer.rows(key))
