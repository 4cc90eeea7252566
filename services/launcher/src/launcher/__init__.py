"""What the engines' launchers and the exporter share: supervision, backoff, settings, HTTP server, exposition."""
