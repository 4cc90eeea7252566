"""Every number that more than one file of configuration must agree on, and every threshold, in one place."""

# A start-up is over in seconds and an L4's stack has a few thousand series, so that a short interval is affordable.
# Grafana derives its rate windows from the same number (the datasource's timeInterval).
SCRAPE_INTERVAL_SECONDS = 5
SCRAPE_TIMEOUT_SECONDS = 4
# The label `vm` of every target. A Prometheus that watches several machines gives each of them a name of its own.
VM = "local"
EVALUATION_INTERVAL_SECONDS = 15
ALERT_INTERVAL_SECONDS = 60  # a multiple of 10, or Grafana does not start

# The probe opens a TLS connection each time; nobody needs to know within 5 s that the front door is shut.
PROBE_INTERVAL_SECONDS = 15
PROBE_TIMEOUT_SECONDS = 10

# ---- What is good, and when somebody is told

# Asked by load balancers and containers, whether anybody uses the service or not: they are no requests to be judged by.
HEALTH_ROUTES = ("/livez", "/readyz", "/healthz", "/health")
# Requests that failed through no fault of the client, by the gateway's outcome.
FAILED_OUTCOMES = ("timeout", "engine_error", "stream_error", "internal_error", "queue_full")
AVAILABILITY_OBJECTIVE = 0.995
# Of the streams that got a first token, so many within this time: a bound of a bucket, or it could not be counted.
TTFT_OBJECTIVE = 0.95
TTFT_SLOW_SECONDS = 2.5
# Over these the share of bad requests is recorded; the first one is measured, the others are summed up from it.
SLO_WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
# How many times as fast as allowed requests go bad in both windows, the long and the short one, when somebody is told.
FAST_BURNS = ((14.4, "1h", "5m"), (6.0, "6h", "30m"))
SLOW_BURN = (1.0, "3d", "6h")
# Fewer bad requests than these in the long window wake nobody, whatever their share: docs/decisions/0015.
LEAST_BAD_REQUESTS = 5
# Ten times the objective's own share of failures: red on the dashboards.
ERROR_RATIO_LIMIT = 0.05
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
CANCELLED_SHARE_LIMIT = 0.3
LEAST_CANCELLED_REQUESTS = 10
# Requests that an engine lets wait; a minute's burst is no queue, five minutes are.
QUEUE_LIMIT = 10
# Of the best five minutes in six hours: with requests waiting, less is an engine that is ill and not one that idles.
OUTPUT_COLLAPSED_SHARE = 0.2
# In ten minutes. Each one throws away a request's computed prompt, which is then computed again.
PREEMPTIONS_LIMIT = 10
# How late one timer in twenty of the gateway's event loop is: a bound of a bucket.
LOOP_LAG_LIMIT_SECONDS = 0.1
LOOP_LAG_NOTABLE_SECONDS = 0.05
# Full is what a KV cache is for; from here on the next long prompt has to wait.
KV_CACHE_NOTABLE = 0.9
# vLLM takes its memory at start, so that "used" says nothing; CUDA graphs and NCCL still need some that is free.
VRAM_FREE_LIMIT_MIB = 512
VRAM_FREE_GOOD_MIB = 1024
# Warm enough to look at the air; a GPU slows itself down somewhat later.
GPU_HOT_CELSIUS = 80
# Of ten minutes.
THROTTLED_SHARE_LIMIT = 0.5
# Errors of the GPU itself, which the runbook names; the others are most often a program's fault.
GRAVE_XIDS = (48, 62, 64, 74, 79, 95, 119, 120)
DISK_FREE_LIMIT = 0.1
# A disk that will be full tomorrow is told of when so little is left: a download fills quickly, and stops.
DISK_TREND_BELOW = 0.4
DISK_TREND_SECONDS = 86400
CERTIFICATE_LIMIT_DAYS = 14
CERTIFICATE_GOOD_DAYS = 21

# ---- How dashboards are drawn

REFRESH_SECONDS = 10
SMOOTH_INTERVAL_SECONDS = 30
