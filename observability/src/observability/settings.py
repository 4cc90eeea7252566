"""Every number that more than one file of configuration must agree on, and every threshold, in one place."""

# A start-up is over in seconds and an L4's stack has a few thousand series, so that a short interval is affordable.
# Grafana derives its rate windows from the same number (the datasource's timeInterval).
SCRAPE_INTERVAL_SECONDS = 5
SCRAPE_TIMEOUT_SECONDS = 4
EVALUATION_INTERVAL_SECONDS = 15
ALERT_INTERVAL_SECONDS = 60  # a multiple of 10, or Grafana does not start

# The probe opens a TLS connection each time; nobody needs to know within 5 s that the front door is shut.
PROBE_INTERVAL_SECONDS = 15
PROBE_TIMEOUT_SECONDS = 10

# ---- What is good, and when somebody is told

# Requests that failed through no fault of the client, by the gateway's outcome.
FAILED_OUTCOMES = ("timeout", "engine_error", "stream_error", "internal_error", "queue_full")
AVAILABILITY_OBJECTIVE = 0.995
# Of the streams that got a first token, so many within this time: a bound of a bucket, or it could not be counted.
TTFT_OBJECTIVE = 0.95
TTFT_SLOW_SECONDS = 2.5
# Over these the share of bad requests is recorded; the first one is measured, the others are summed up from it.
SLO_WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
# Ten times the objective's own share of failures: a fault and not a bad minute.
ERROR_RATIO_LIMIT = 0.05
LEAST_REQUESTS_JUDGED = 10
# Bounds of buckets, so that a share below them could be read exactly.
TTFT_P95_GOOD_SECONDS = 1.0
TTFT_P95_LIMIT_SECONDS = 2.5
# A reader keeps up with 20 tokens a second; below 10 the text is waited for.
TPOT_P95_GOOD_SECONDS = 0.05
TPOT_P95_LIMIT_SECONDS = 0.1
# What the gateway may add before the first token.
ADDED_LATENCY_GOOD_SECONDS = 0.01
ADDED_LATENCY_LIMIT_SECONDS = 0.05
CANCELLED_SHARE_NOTABLE = 0.1
# vLLM takes its memory at start, so that "used" says nothing; CUDA graphs and NCCL still need some that is free.
VRAM_FREE_LIMIT_MIB = 512
VRAM_FREE_GOOD_MIB = 1024
CERTIFICATE_LIMIT_DAYS = 14
CERTIFICATE_GOOD_DAYS = 21

# ---- How dashboards are drawn

REFRESH_SECONDS = 10
SMOOTH_INTERVAL_SECONDS = 30
