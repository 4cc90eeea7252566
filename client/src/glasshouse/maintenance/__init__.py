"""Backup, restore and upgrade of a stack, in Docker and natively."""
