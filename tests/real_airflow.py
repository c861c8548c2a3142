"""A real Airflow, with all of its parts, and what tests ask of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from scripts.local_airflow import LocalAirflow


class RealAirflow(LocalAirflow):
    def __init__(self, **arguments: Any) -> None:
        super().__init__(**{"say": lambda line: None, "variables": {}, **arguments})

    def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            self.wait()

    def start_run(self, dag_id: str, **conf: Any) -> str:
        return self.post(f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf})["dag_run_id"]

    def runs(self, dag_id: str) -> list[str]:
        found = self.get(f"/api/v2/dags/{dag_id}/dagRuns", order_by="run_after")["dag_runs"]
        return [run["dag_run_id"] for run in found]

    def state(self, dag_id: str, run_id: str) -> str:
        return self.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"]

    def has_ended(self, dag_id: str, run_id: str) -> bool:
        return self.state(dag_id, run_id) in ("success", "failed")

    def tasks(self, dag_id: str, run_id: str) -> dict[tuple[str, int], dict[str, Any]]:
        found = self.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=100)["task_instances"]
        return {(each["task_id"], each["map_index"]): each for each in found}

    def xcom(self, task: dict[str, Any]) -> Any:
        of_task = f"/api/v2/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}"
        value = self.get(f"{of_task}/xcomEntries/return_value?map_index={task['map_index']}")["value"]
        return json.loads(value) if isinstance(value, str) else value
