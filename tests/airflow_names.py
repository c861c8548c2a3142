"""What tests need of Airflow and has another place in older versions."""

from __future__ import annotations

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
except ImportError:  # Airflow 3.0 and 3.1
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
    from airflow.serialization.decoders import smart_decode_trigger_kwargs
    from airflow.serialization.encoders import encode_trigger
except ImportError:  # Airflow 3.0 and 3.1
    from airflow.serialization.serialized_objects import BaseSerialization, smart_decode_trigger_kwargs

    def encode_trigger(trigger):
        classpath, arguments = trigger.serialize()
        encoded = {name: BaseSerialization.serialize(value) for name, value in arguments.items()}
        return {"classpath": classpath, "kwargs": encoded}


try:
    from airflow.sdk.execution_time.timeout import timeout
except ImportError:  # Airflow 3.0 and 3.1
    from airflow.utils.timeout import timeout

__all__ = [
    "AirflowFailException",
    "AirflowRescheduleException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "AirflowTaskTimeout",
    "TaskDeferralError",
    "TaskDeferred",
    "encode_trigger",
    "smart_decode_trigger_kwargs",
    "timeout",
]
