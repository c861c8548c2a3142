"""What tests need of Airflow and has another place in older versions."""

from __future__ import annotations

from importlib.metadata import version

AIRFLOW = tuple(map(int, version("apache-airflow").split(".")[:2]))

try:
    from airflow.sdk.exceptions import (
        AirflowFailException,
        AirflowRescheduleException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
        TaskDeferralError,
        TaskDeferred,
    )
except ImportError:  # Airflow 2.11, 3.0 and 3.1
    from airflow.exceptions import (
        AirflowFailException,
        AirflowRescheduleException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
        TaskDeferralError,
        TaskDeferred,
    )
try:
    from airflow.sdk.io import attach
except ImportError:  # Airflow 2.11
    from airflow.io.store import attach
try:
    from airflow.sdk.execution_time.timeout import timeout
except ImportError:  # Airflow 2.11, 3.0 and 3.1
    from airflow.utils.timeout import timeout

__all__ = [
    "AIRFLOW",
    "AirflowFailException",
    "AirflowRescheduleException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "AirflowTaskTimeout",
    "TaskDeferralError",
    "TaskDeferred",
    "attach",
    "timeout",
]
