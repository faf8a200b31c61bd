"""Sends what the queue holds: lanes, circuits, retries, what results mean, the loop. The picture: ../README.md."""
