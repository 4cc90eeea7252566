"""PromQL queries, apart from the panels and alerts that use them; one module for each source of metrics."""
