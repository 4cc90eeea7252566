"""Every number that more than one file of configuration must agree on, and every threshold, in one place."""

# A start-up is over in seconds and an L4's stack has a few thousand series, so that a short interval is affordable.
# Grafana derives its rate windows from the same number (the datasource's timeInterval).
SCRAPE_INTERVAL_SECONDS = 5
SCRAPE_TIMEOUT_SECONDS = 4
EVALUATION_INTERVAL_SECONDS = 15

# The probe opens a TLS connection each time; nobody needs to know within 5 s that the front door is shut.
PROBE_INTERVAL_SECONDS = 15
PROBE_TIMEOUT_SECONDS = 10
