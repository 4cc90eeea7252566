"""The benchmarks of the project. Nothing here is part of the service."""
