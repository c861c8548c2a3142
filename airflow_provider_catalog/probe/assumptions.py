"""What is assumed of the API without its documentation saying so, judged by what was found out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from airflow_provider_catalog.client.endpoints import ENDPOINTS
from airflow_provider_catalog.client.settings import MAX_PAGE_SIZE, CatalogSettings
from airflow_provider_catalog.probe.asking import Answer, Asker
from airflow_provider_catalog.probe.catalog_questions import DATE_FORMATS, FORMS
from airflow_provider_catalog.probe.facts import EndpointFacts, Facts
from airflow_provider_catalog.probe.shape import EXPECTED, describe, root_keys

Verdict = Literal["confirmed", "refuted", "unknown"]

NOTHING = "nothing to set: the provider copes with either"
TELL = "no setting adapts the provider to this yet: tell its maintainers"


@dataclass(frozen=True)
class Finding:
    """
    One assumption, and what became of it.

    :param id: a short name that stays.
    :param assumption: what is assumed.
    :param verdict: ``confirmed``, ``refuted`` or ``unknown``.
    :param seen: what the verdict rests on.
    :param setting: how the provider is adapted where the assumption does not hold.
    :param act: whether something has to be done before the provider can read this Catalog well.
    """

    id: str
    assumption: str
    verdict: Verdict
    seen: str
    setting: str = NOTHING
    act: bool = False


def judge(facts: Facts, asker: Asker) -> list[Finding]:
    """Return every assumption with its verdict."""
    each = list(facts.endpoints.values())
    settings = asker.client.settings
    return [
        *(_path(one) for one in each),
        *(_root_key(one) for one in each),
        _json(each, settings),
        _form_lists(facts, settings),
        *(_paging(one) for one in each),
        _first_page(each),
        _links(each),
        _page_limit(each),
        *_date_formats(facts),
        _date_to(each),
        _date_to_day(each),
        *(_columns(one) for one in each),
        _money(each),
        *_wrong_filters(facts),
        *_tokens(facts),
        _login_page(facts, asker),
        _rate_limits(facts, asker),
        Finding(
            "admin-pages",
            "the admin pages of analytics are at /new_analytics/ and the endpoint's name",
            "unknown",
            "a token does not open them: look in a browser",
            "only the link from a task to its page depends on it",
        ),
    ]


def _path(one: EndpointFacts) -> Finding:
    path = one.tried or one.path
    tell = f"POST {path} answers"
    setting = f'`paths` in the connection\'s extra, such as {{"{one.name}": "/api/v1/analytics/{one.name}"}}'
    name = f"path-{one.name}"
    if one.post is None:
        return Finding(name, tell, "unknown", "not asked", setting)
    if one.tried:
        found = f'`paths` in the connection\'s extra: {{"{one.name}": "{one.path}"}}'
        return Finding(name, tell, "refuted", f"{one.post}; rows are at {one.path}", found, act=True)
    if one.first_rows is not None:
        return Finding(name, tell, "confirmed", str(one.base), setting)
    if one.post.status in (401, 403):
        return Finding(name, tell, "unknown", str(one.post), "an API token that may read analytics", act=True)
    if one.post.status in (404, 405):
        return _no_such_path(one, name, tell, setting)
    return Finding(name, tell, "unknown", f"{one.post}, and no rows", TELL, act=True)


def _no_such_path(one: EndpointFacts, name: str, tell: str, setting: str) -> Finding:
    if one.get and one.get.rows(one.endpoint.root_key) is not None:
        return Finding(name, tell, "refuted", f"{one.post}; GET: {one.get}", TELL, act=True)
    return Finding(name, tell, "refuted", str(one.post), f"{setting}; find the path, then ask with --path", act=True)


def _root_key(one: EndpointFacts) -> Finding:
    key = one.endpoint.root_key
    name, tell = f"root-key-{one.name}", f"the rows stand under {key!r}"
    if not one.base or not one.base.is_good:
        return Finding(name, tell, "unknown", "no answer with rows")
    seen = ", ".join(f"{each}: {kind}" for each, kind in root_keys(one.base.root, key).items())
    found = one.base.rows_key(key)
    if found is None:
        return Finding(name, tell, "refuted", seen, TELL, act=True)
    return Finding(
        name, tell, "confirmed" if found == key else "refuted", seen, "nothing to set: the only list is taken"
    )


def _json(each: list[EndpointFacts], settings: CatalogSettings) -> Finding:
    effects = {one.name: effect for one in each if (effect := one.effects.get("json"))}
    tell = "filters are read from a JSON body"
    if not effects or set(effects.values()) == {"unknown"}:
        return Finding("json", tell, "unknown", "no rows to filter", "`request_encoding`: `form`")
    if set(effects.values()) <= {"read", "unknown"}:
        return Finding("json", tell, "confirmed", _by_name(effects), "`request_encoding`: `json`, the default")
    form = any(one.effects.get("form") == "read" or one.encoding == "form" for one in each)
    setting = "`request_encoding` in the connection's extra: `form`" if form else TELL
    act = not form or settings.request_encoding != "form"
    seen = _by_name(effects) + ("; a form is read" if form else "")
    return Finding("json", tell, "refuted", seen, setting, act=act)


def _form_lists(facts: Facts, settings: CatalogSettings) -> Finding:
    tell = "filters are read from a form, lists as name[]=1&name[]=2"
    if not facts.forms:
        return Finding("form-lists", tell, "unknown", "not asked", "`request_encoding`")
    words = {True: "read, lists whole", False: "read, but not the whole of a list"}
    said = {
        form: words[facts.form_lists[form]] if form in facts.form_lists else facts.forms[form] for form in facts.forms
    }
    seen = "; ".join(f"{'name[]' if form == 'form' else 'name'}: {said[form]}" for form in FORMS if form in said)
    if facts.form_lists.get("form"):
        return Finding("form-lists", tell, "confirmed", seen, "`request_encoding`: `json` or `form`, both work")
    if set(facts.forms.values()) == {"unknown"}:
        return Finding("form-lists", tell, "unknown", seen, "`request_encoding`")
    needed = any(one.encoding == "form" for one in facts.endpoints.values())
    setting = TELL if needed else "`request_encoding`: `json`, the default"
    return Finding("form-lists", tell, "refuted", seen, setting, act=needed or settings.request_encoding == "form")


_WAYS = {
    "link": "pages, with links to the next and the last one",
    "next-only": "pages, with a link to the next one only",
    "page-only": "pages, without links; `page` works",
    "none": "no pages: all rows in one answer",
}


def _paging(one: EndpointFacts) -> Finding:
    tell = "rows come in one of four ways of paging"
    seen = _WAYS[one.paging] if one.paging else "too few rows to tell"
    return Finding(f"paging-{one.name}", tell, "confirmed" if one.paging else "unknown", seen)


def _first_page(each: list[EndpointFacts]) -> Finding:
    found = {one.name: str(one.first_page) for one in each if one.first_page is not None}
    tell = "pages are counted from 0 or from 1"
    if not found:
        return Finding("first-page", tell, "unknown", "no numbered pages seen")
    return Finding("first-page", tell, "confirmed" if set(found.values()) <= {"0", "1"} else "refuted", _by_name(found))


def _links(each: list[EndpointFacts]) -> Finding:
    found = {one.name: one.links for one in each if one.links}
    tell = "links to pages lead to the Catalog itself"
    if not found:
        return Finding("links", tell, "unknown", "no links seen")
    good = set(found.values()) <= {"absolute", "relative"}
    setting = (
        NOTHING if good else "Catalog URL: the host that the links lead to, if it is yours; such links are not followed"
    )
    return Finding("links", tell, "confirmed" if good else "refuted", _by_name(found), setting, act=not good)


def _page_limit(each: list[EndpointFacts]) -> Finding:
    tell = f"a page has at most {MAX_PAGE_SIZE} rows, and a larger `per_page` is cut to that"
    setting = "`page_size` may be smaller; a server that gives fewer rows than asked for is read all the same"
    refused = {one.name: f"larger is refused ({one.too_large})" for one in each if one.too_large}
    limits = {one.name: f"{one.page_limit} rows" for one in each if one.page_limit is not None}
    more = {one.name: f"at least {one.page_least} rows" for one in each if one.page_least > MAX_PAGE_SIZE}
    seen = _by_name({**limits, **refused, **more})
    if refused or more:
        return Finding("page-limit", tell, "refuted", seen, "nothing to set: the provider never asks for more than 100")
    if limits:
        full = all(one.page_limit == MAX_PAGE_SIZE for one in each if one.page_limit is not None)
        return Finding("page-limit", tell, "confirmed" if full else "refuted", seen, setting)
    return Finding("page-limit", tell, "unknown", "no page was full", setting)


def _date_formats(facts: Facts) -> Iterator[Finding]:
    setting = "give dates as text in a layout that is read: text is sent as it is"
    verdicts: dict[str, Verdict] = {"read": "confirmed", "unknown": "unknown"}
    read = [layout for layout, effect in facts.date_formats.items() if effect == "read"]
    for layout in list(DATE_FORMATS)[:2]:
        effect = facts.date_formats.get(layout, "unknown")
        verdict = verdicts.get(effect, "refuted")
        seen = "no rows to filter" if effect == "unknown" else f"{effect}; read are: {', '.join(read) or 'none'}"
        name = "date-with-time" if "T" in layout else "date-without-time"
        yield Finding(name, f"a date filter reads {layout}", verdict, seen, setting, act=verdict == "refuted")


def _date_to(each: list[EndpointFacts]) -> Finding:
    found = {one.name: one.to_instant for one in each if one.to_instant}
    tell = "a `_to` filter includes the instant that it names"
    setting = (
        "inclusive: windows that touch share rows of that very instant, so drop duplicates; exclusive: they neither "
        "share nor lose any"
    )
    if not found:
        return Finding("date-to", tell, "unknown", "no date of a row to ask with", setting)
    words: dict[str, str] = dict(found)
    for one in each:
        if one.to_instant == "exclusive" and one.to_fraction:
            words[one.name] += " (or fractions of a second are cut)"
    verdict: Verdict = "confirmed" if set(found.values()) == {"inclusive"} else "refuted"
    return Finding("date-to", tell, verdict, _by_name(words), setting)


def _date_to_day(each: list[EndpointFacts]) -> Finding:
    found = {one.name: one.to_day for one in each if one.to_day}
    tell = "a `_to` filter that is a day includes that day"
    setting = "where it does not, name the day after, or an instant"
    if not found:
        return Finding("date-to-day", tell, "unknown", "no date of a row to ask with", setting)
    verdict: Verdict = "confirmed" if set(found.values()) == {"inclusive"} else "refuted"
    return Finding("date-to-day", tell, verdict, _by_name(found), setting)


def _columns(one: EndpointFacts) -> Finding:
    source = "documentation" if ENDPOINTS[one.name].columns else "admin pages"
    tell = f"rows of {one.name} have the fields of the {source}"
    setting = "rows pass as they come; check the names in `fields`, `drop_fields` and `hash_fields`"
    if not one.sample:
        return Finding(f"fields-{one.name}", tell, "unknown", "no rows", setting)
    there = {each.path for each in describe(one.sample)}
    missing = [path for path in EXPECTED[one.name] if path not in there]
    seen = f"missing: {', '.join(missing)}" if missing else f"all {len(EXPECTED[one.name])} are there"
    return Finding(f"fields-{one.name}", tell, "refuted" if missing else "confirmed", seen, setting)


def _money(each: list[EndpointFacts]) -> Finding:
    kinds = {
        kind
        for one in each
        for field in describe(one.sample)
        if field.path in ("list_price", "discount", "revenue")
        for kind in field.types
        if kind != "null"
    }
    tell = "amounts are JSON numbers"
    if not kinds:
        return Finding("money", tell, "unknown", "no amounts seen")
    verdict: Verdict = "confirmed" if kinds <= {"integer", "number"} else "refuted"
    return Finding(
        "money", tell, verdict, ", ".join(sorted(kinds)), "nothing to set: text with a decimal is an amount, too"
    )


def _wrong_filters(facts: Facts) -> Iterator[Finding]:
    for name, what, found in (
        ("wrong-value", "a wrong value of a filter", facts.bad_value),
        ("unknown-filter", "a filter that there is not", facts.unknown_filter),
    ):
        tell = f"{what} is refused with 422"
        setting = "nothing to set: the provider checks filters before it asks"
        if not found:
            yield Finding(name, tell, "unknown", "not asked", setting)
            continue
        effect, answer = found
        words = {
            "read": "no rows match",
            "ignored": "it is ignored",
            "refused": "refused",
            "unknown": "no proper answer",
        }
        verdict: Verdict = "unknown" if effect == "unknown" else "confirmed" if answer[:3] == "422" else "refuted"
        yield Finding(name, tell, verdict, f"{words[effect]} ({answer})", setting)


def _tokens(facts: Facts) -> Iterator[Finding]:
    posts = [one.post for one in facts.endpoints.values() if one.post]
    refused = next((answer for answer in posts if answer.status in (401, 403)), None)
    valid = facts.courses.status == 200 if facts.courses else None
    make = "an API token from /admin/api_keys of your Catalog"
    tell = "a token that is not valid is refused with 401"
    yield _refusal("token-refused", tell, refused if valid is False else None, 401, make)
    tell = "a token without analytics rights is refused with 403"
    yield _refusal("token-rights", tell, refused if valid else None, 403, f"{make}, with analytics rights")


def _refusal(name: str, tell: str, answer: Answer | None, expected: int, setting: str) -> Finding:
    if answer is None:
        return Finding(name, tell, "unknown", "not seen with this token", setting)
    return Finding(name, tell, "confirmed" if answer.status == expected else "refuted", str(answer), setting, act=True)


def _login_page(facts: Facts, asker: Asker) -> Finding:
    tell = "an expired login or a wrong host may answer 200 with an HTML page"
    setting = "check the Catalog URL and the API token; the provider tries again, then fails"
    if not asker.html:
        return Finding("login-page", tell, "unknown", "not seen", setting)
    return Finding("login-page", tell, "confirmed", f"seen {asker.html} times", setting, act=not facts.learnt)


def _rate_limits(facts: Facts, asker: Asker) -> Finding:
    tell = "the Catalog limits requests the way Canvas does: 429, or 403 that says so, and headers"
    setting = "`max_concurrency` and Airflow pools; the provider waits as long as it is asked to"
    headers = ", ".join(asker.rate_headers)
    if asker.throttled:
        seen = f"asked for fewer requests {asker.throttled} times; headers: {headers or 'none'}"
        return Finding("rate-limits", tell, "confirmed", seen, setting)
    if headers:
        return Finding("rate-limits", tell, "confirmed", f"headers: {headers}", setting)
    return Finding("rate-limits", tell, "unknown", f"no sign of it in {asker.count} requests", setting)


def _by_name(found: Mapping[str, object]) -> str:
    """Return ``name: what``, the names together that have the same."""
    names: dict[str, list[str]] = {}
    for name, what in found.items():
        names.setdefault(str(what), []).append(name)
    if len(names) == 1 and len(found) == len(ENDPOINTS):
        return next(iter(names))
    return "; ".join(f"{', '.join(each)}: {what}" for what, each in names.items())
