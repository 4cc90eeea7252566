"""The HTTP server: where it differs from uvicorn, its limits and deadlines, and the gunicorn worker."""
