"""Starts vLLM from a model file and the environment, and keeps it running."""
