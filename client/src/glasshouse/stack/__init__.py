"""The stack of a checkout, in Docker and natively, behind one protocol."""
