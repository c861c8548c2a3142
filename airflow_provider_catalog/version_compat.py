"""The few names of Airflow that ``airflow.providers.common.compat.sdk`` does not have for every supported version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import conf

if TYPE_CHECKING:
    from airflow.sdk.definitions.asset import AssetRef
    from airflow.sdk.log import mask_secret
else:
    try:
        from airflow.sdk.definitions.asset import AssetRef
        from airflow.sdk.log import mask_secret
    except ImportError:  # Airflow 2.11, where a dataset has no other name than its URI
        from airflow.datasets import Dataset as AssetRef
        from airflow.utils.log.secrets_masker import mask_secret

__all__ = ["AssetRef", "is_hidden_extra", "mask_secret"]


def is_hidden_extra(name: str) -> bool:
    """
    Tell whether Airflow is configured to show an extra of a connection as ``***``.

    :param name: of the extra; one that Airflow doesn't hide of its own accord.
    """
    if not conf.getboolean("core", "hide_sensitive_var_conn_fields", fallback=True):
        return False
    hidden = conf.get("core", "sensitive_var_conn_names", fallback="")
    return any(part.strip() and part.strip() in name for part in hidden.split(","))
