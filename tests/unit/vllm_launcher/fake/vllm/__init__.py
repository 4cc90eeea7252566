"""A fake vLLM: the launcher finds and runs it where the real one would be. See `entrypoints/openai/api_server.py`."""
