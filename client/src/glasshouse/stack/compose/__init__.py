"""The stack in Docker, started by Compose."""
