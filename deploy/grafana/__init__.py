"""The dashboard and the alert rules, made from the closed list of metrics (schemas/metrics.py).

Lives here: what is shown and what is told, and how files are made of it (`python -m deploy.grafana.generate`).
"""
