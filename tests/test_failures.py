"""Errors that a retry cannot mend: caught by their own class and by Airflow's, and whole after a pickle."""

from __future__ import annotations

import pickle
import traceback

import pytest

from airflow_provider_catalog import errors
from airflow_provider_catalog.errors import CatalogAuthError, CatalogError, CatalogFilterError, CatalogParameterError
from airflow_provider_catalog.utils.failures import fail_at_once
from tests.airflow_names import AirflowFailException

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CatalogError)]


def failure(error):
    with pytest.raises(CatalogError) as caught, fail_at_once():
        raise error
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_keeps_its_class_and_is_airflows_after_a_pickle_too(kind):
    error = failure(kind("no", endpoint="orders", status=400, retryable=False))
    assert isinstance(error, kind)
    assert isinstance(error, AirflowFailException)
    assert type(error).__name__ == kind.__name__
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert type(again) is type(error)
    assert (str(again), vars(again)) == (str(error), vars(error))


def test_a_subclass_is_caught_as_its_base_is():
    class OwnError(CatalogFilterError):
        pass

    assert isinstance(failure(OwnError("no")), CatalogFilterError)
    assert isinstance(failure(CatalogParameterError("no")), ValueError)


def test_the_cause_stays_and_the_error_is_shown_once():
    error = CatalogAuthError("refused")
    error.__cause__ = OSError("why")
    shown = "".join(traceback.format_exception(failure(error)))
    assert shown.count("refused") == 1
    assert "OSError: why" in shown
