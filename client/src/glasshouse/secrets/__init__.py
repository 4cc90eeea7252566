"""What must stay secret: API keys, the key of the engines, the certificate; who makes each, and where it lies."""
