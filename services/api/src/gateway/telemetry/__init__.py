"""What the gateway tells about itself: every metric, the record of a request, and its log line."""
