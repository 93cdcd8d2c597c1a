"""Dashboards, recording rules and alerts as Python data, written out as files.

``python -m monitoring`` writes what Grafana, Prometheus and Kubernetes read; a test asks that what
is committed is what would be written. Not installed with the service.
"""
