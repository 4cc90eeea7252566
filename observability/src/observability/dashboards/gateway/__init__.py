"""The Gateway dashboard."""
