"""The account of each case; the Catalog of these tests decides by it what to answer."""

from __future__ import annotations

from importlib.metadata import version

AIRFLOW_REMEMBERS = tuple(map(int, version("apache-airflow").split(".")[:2])) >= (3, 3)
"""Whether it has a state store, in which a watcher keeps what it has reported."""

ENDPOINTS = ("products", "enrollments", "orders", "users")
MODES = ("poke", "reschedule", "deferrable")

WAIT = {(endpoint, mode): 100 + n for n, (endpoint, mode) in enumerate((e, m) for e in ENDPOINTS for m in MODES)}
MAPPED = (201, 202, 203)
TIMEOUT = {mode: 300 + n for n, mode in enumerate(MODES)}
SOFT_FAIL = 310
REVOKED = 400
RESTART = 500
RESTART_TIMEOUT = 501
WATCHED = 600
LOADED = 700
REFUSED = 701

# Tasks that are ended while they wait for the Catalog; by how they are ended.
KILLED_OPERATORS = {"timeout": 800, "cleared": 801, "failed": 802}
KILLED_SENSORS = {"timeout": 810, "failed": 811, "deferred": 812}
KILLS_FOLDER = "LIVE_KILLS_FOLDER"
"""The variable that names the folder for their files."""
