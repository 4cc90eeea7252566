"""The plumbing of several workers: slots, files of counters, and the one page of metrics made of them."""
