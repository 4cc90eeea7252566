"""What the project measures itself with: a mock engine and a harness. Nothing here is served to anybody."""
