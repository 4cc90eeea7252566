"""Every threshold, and every number that several configuration files must agree on."""

# Start-up phases last seconds and a stack with one L4 has a few thousand series, so a short interval is affordable.
# Grafana derives its rate windows from the same number (the datasource's timeInterval).
SCRAPE_INTERVAL_SECONDS = 5
SCRAPE_TIMEOUT_SECONDS = 4
# The label `vm` of every target. A Prometheus that scrapes several machines gives each its own value.
VM = "local"
# The label `vm` of what `make drill` adds (docs/decisions/0035): alerts see it, dashboards leave it out.
DRILL_VM = "drill"
EVALUATION_INTERVAL_SECONDS = 15
RECONCILIATION_INTERVAL_SECONDS = 60
ALERT_INTERVAL_SECONDS = 60  # a multiple of 10, or Grafana does not start

# Each probe opens a TLS connection, and nobody needs to know within 5 s that the endpoint is down.
PROBE_INTERVAL_SECONDS = 15
PROBE_TIMEOUT_SECONDS = 10

# ---- Objectives and alert thresholds

# Requested by load balancers and containers regardless of users: not counted as requests.
HEALTH_ROUTES = ("/livez", "/readyz", "/healthz", "/health")
# The gateway's outcomes of requests that failed on the server's side.
FAILED_OUTCOMES = ("timeout", "engine_error", "stream_error", "internal_error", "queue_full")
AVAILABILITY_OBJECTIVE = 0.995
# The share of streams with a first token that must get it within this time; a bucket's bound, so it can be counted.
TTFT_OBJECTIVE = 0.95
TTFT_SLOW_SECONDS = 2.5
# The windows over which bad requests are counted; the last is the error budget's.
SLO_WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
# Burn rates that alert when both windows, the long and the short one, exceed them.
FAST_BURNS = ((14.4, "1h", "5m"), (6.0, "6h", "30m"))
SLOW_BURN = (1.0, "3d", "6h")
# Fewer bad requests than this in the long window do not alert, whatever their ratio: docs/decisions/0015.
MIN_BAD_REQUESTS = 5
# A smaller error budget is not shown: a single failure would exceed it, or leave all of it.
MIN_BUDGET_REQUESTS = 1
# Ten times the failures that the objective allows: red on the dashboards.
ERROR_RATIO_LIMIT = 0.05
# Bounds of buckets, so that the share below them is exact.
TTFT_P95_GOOD_SECONDS = 1.0
TTFT_P95_LIMIT_SECONDS = 2.5
# A reader keeps up with 20 tokens a second; below 10 the reader waits for the text.
TPOT_P95_GOOD_SECONDS = 0.05
TPOT_P95_LIMIT_SECONDS = 0.1
# What the gateway may add to the time to first token.
ADDED_LATENCY_GOOD_SECONDS = 0.01
ADDED_LATENCY_LIMIT_SECONDS = 0.05
CANCELLED_SHARE_WARN = 0.1
CANCELLED_SHARE_LIMIT = 0.3
MIN_CANCELLED_REQUESTS = 10
# Of a model's streams in ten minutes: the service level judges all models together and cannot see one of three.
MODEL_SLOW_SHARE_LIMIT = 0.5
MIN_SLOW_STREAMS = 5
# In ten minutes; a client with a wrong key retries for ever, somebody who mistypes one does not.
AUTH_FAILURES_LIMIT = 30
# Of nginx itself, in five minutes. A single one can be a request that met a restart.
NGINX_OWN_RESPONSES_LIMIT = 5
# In a quarter of an hour; a deployment starts an engine once.
ENGINE_STARTS_LIMIT = 2
# Requests waiting in an engine; a burst of a minute is no queue, five minutes are.
QUEUE_LIMIT = 10
# Of the best five minutes in six hours: with requests waiting, less means a faulty engine and not an idle one.
THROUGHPUT_DEGRADED_SHARE = 0.2
# In ten minutes. Each one discards a request's computed prompt, which is then computed again.
PREEMPTIONS_LIMIT = 10
# The 95th percentile of the gateway's event loop lag: a bound of a bucket.
LOOP_LAG_LIMIT_SECONDS = 0.1
LOOP_LAG_WARN_SECONDS = 0.05
# A KV cache is meant to be full; from here on the next long prompt has to wait.
KV_CACHE_WARN = 0.9
# vLLM reserves its memory at start, so "used" says nothing; CUDA graphs and NCCL still need some that is free.
VRAM_FREE_LIMIT_MIB = 512
VRAM_FREE_GOOD_MIB = 1024
# Worth a look at the cooling; a GPU throttles itself somewhat above.
GPU_HOT_CELSIUS = 80
# The exporter reads the GPUs at each scrape.
GPU_DATA_AGE_LIMIT_SECONDS = 60
# Scrapes take up to SCRAPE_TIMEOUT_SECONDS, and a clock is read at some time during one.
CLOCK_SKEW_LIMIT_SECONDS = 5
# Of ten minutes.
THROTTLED_SHARE_LIMIT = 0.5
# Hardware errors, which the runbook names; the others are usually caused by software.
CRITICAL_XIDS = (48, 62, 64, 74, 79, 95, 119, 120)
DISK_FREE_LIMIT = 0.1
# The trend of a disk alerts only below this free share: a download fills a disk quickly, and stops.
DISK_TREND_BELOW = 0.4
DISK_TREND_SECONDS = 86400
CERTIFICATE_LIMIT_DAYS = 14
CERTIFICATE_GOOD_DAYS = 21

# Of the engines' count, in an hour: of a cancelled response a gateway sees some 3 tokens less than llama.cpp generates.
DRIFT_LIMIT = 0.05
MIN_DRIFT_TOKENS = 2000
MIN_DRIFT_REQUESTS = 20
# An unfinished request's prompt is unknown. Clients cancel the long ones: this many average prompts at most.
UNFINISHED_PROMPT_FACTOR = 4
# Runs of the privacy canary that may be missed: it asks once an hour by default, and a deployment takes minutes.
PRIVACY_CANARY_INTERVALS = 3

# ---- Dashboards

# Fewer tokens than this in the window have no cost and no energy each: idle time shared by three tokens is no price.
MIN_TOKENS = 1_000
# The same around each point of a graph.
MIN_TOKENS_PER_INTERVAL = 50

REFRESH_SECONDS = 10
# Of dashboards with details: over seven days each of their refreshes costs Prometheus seconds of CPU time.
DETAILS_REFRESH_SECONDS = 60
SMOOTH_INTERVAL_SECONDS = 30
