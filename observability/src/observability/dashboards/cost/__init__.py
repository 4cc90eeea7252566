"""The Cost and keys dashboard."""
