"""Who is told, about what, and how Grafana and promtool read it."""
