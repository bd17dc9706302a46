"""Writes the dashboards: ``python -m deploy.grafana`` (``make dashboards``). What it writes is checked in."""

from deploy.grafana.written import HERE, written

for name, text in written().items():
    (HERE / name).write_text(text)
