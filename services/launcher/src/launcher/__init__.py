"""What both engine launchers share: the status, its port, and the supervision of the engine's process."""
