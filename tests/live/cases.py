"""The account of each case; the Catalog of these tests decides by it what to answer."""

from __future__ import annotations

WAIT = {("products", "poke"): 100, ("users", "reschedule"): 101, ("orders", "deferrable"): 102}
MAPPED = (201, 202)
TIMEOUT = 300
REVOKED = 400
RESTART = 500
WATCHED = 600
LOADED = 700
REFUSED = 701
# Tasks that are ended while they wait for the Catalog; by how they are ended.
KILLED_OPERATORS = {"cleared": 801, "failed": 802}
KILLED_SENSORS = {"failed": 811, "deferred": 812}
KILLED = {*KILLED_OPERATORS.values(), *KILLED_SENSORS.values()}
FOLDER = "LIVE_FOLDER"
"""The variable that names the folder for files."""
