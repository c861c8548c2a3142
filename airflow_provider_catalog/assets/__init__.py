"""What the events of a task's assets tell."""
