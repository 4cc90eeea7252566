"""Queries of the gateway's metrics: its requests, its engines, its own processes."""

JOB = "gateway"
