"""Dashboards, alerts, recording rules and scrape configurations as code: the source of grafana/ and prometheus/."""
