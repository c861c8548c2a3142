"""What Schemathesis is told beyond the OpenAPI page; it loads the file by the variable ``SCHEMATHESIS_HOOKS``."""

from __future__ import annotations

import schemathesis


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """Leave out wrong forms: a form has only text, in which many of them can't be told from a right one."""
    is_form = case.media_type == "application/x-www-form-urlencoded"
    return not (is_form and case.meta and case.meta.generation.mode.is_negative)
