"""Telemetry: every metric, the record of a request, and its log line. Nothing outside touches a metric."""
