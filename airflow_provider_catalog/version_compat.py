"""The few names of Airflow that ``airflow.providers.common.compat.sdk`` does not have for every supported version."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

__all__ = ["AssetRef", "mask_secret"]
