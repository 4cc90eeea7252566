"""The Overview dashboard."""
