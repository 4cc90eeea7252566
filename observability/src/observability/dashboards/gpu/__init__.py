"""The GPU dashboard."""
