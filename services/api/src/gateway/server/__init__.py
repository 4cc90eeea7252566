"""The server in front of the application: uvicorn as the gateway needs it, under gunicorn."""
