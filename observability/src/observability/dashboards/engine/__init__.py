"""The Engine dashboard."""
