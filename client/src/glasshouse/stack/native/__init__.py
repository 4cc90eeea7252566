"""The stack without Docker, run by supervisord."""
