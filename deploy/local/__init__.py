"""Everything on this machine: a broker, the processes and their data in one folder (`hookberg up`).

Lives here: the local start. May not live here: what a process does (its own room), how it is wired (deploy.processes).
The way of a start, with measurements, is in README.md beside this file.
"""
