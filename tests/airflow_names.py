"""What tests need of Airflow and has another place in older versions."""

from __future__ import annotations

from importlib.metadata import version

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferred,
    timeout,
)

AIRFLOW = tuple(map(int, version("apache-airflow").split(".")[:2]))

try:
    from airflow.sdk.exceptions import AirflowRescheduleException, TaskDeferralError
except ImportError:  # Airflow 2.11, 3.0 and 3.1
    from airflow.exceptions import AirflowRescheduleException, TaskDeferralError
try:
    from airflow.sdk.io import attach
except ImportError:  # Airflow 2.11
    from airflow.io.store import attach
try:
    from airflow.sdk._shared.secrets_masker import redact
except ImportError:
    try:
        from airflow.sdk.execution_time.secrets_masker import redact  # Airflow 3.0 and 3.1
    except ImportError:
        from airflow.utils.log.secrets_masker import redact  # Airflow 2.11

__all__ = [
    "AIRFLOW", "AirflowFailException", "AirflowRescheduleException", "AirflowSensorTimeout", "AirflowSkipException",
    "AirflowTaskTimeout", "TaskDeferralError", "TaskDeferred", "attach", "redact", "timeout",
]  # fmt: skip
