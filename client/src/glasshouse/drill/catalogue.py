"""Every fault, in the order in which they are put in, and every alert that none of them fires."""

from glasshouse.drill import pages
from glasshouse.drill.fault import NODE_EXPORTER, SPARE_ENGINE, Endpoint, Fault, Load

_MESSAGES = [{"role": "user", "content": "This is a drill."}]
_CHAT = {"model": pages.MODEL, "messages": _MESSAGES, "max_tokens": 8}
_LATE_S = 4.0  # later than the objective of the first token, and sooner than the gateway's timeout

FAULTS = (
    Fault(
        name="part-down",
        title="node-exporter is stopped",
        kind="real",
        alerts=("TargetDown",),
        stops=NODE_EXPORTER,
    ),
    Fault(
        name="engine-stopped",
        title="An engine is stopped while another serves its models",
        kind="real",
        alerts=("TargetDown",),
        stops=SPARE_ENGINE,
    ),
    Fault(
        name="endpoint-down",
        title="An endpoint of the drill's own answers 503",
        kind="stand-in",
        alerts=("EndpointDown",),
        endpoint=Endpoint(status=503, days=90),
    ),
    Fault(
        name="failing-requests",
        title="A stand-in engine answers 500",
        kind="stand-in",
        alerts=("AvailabilityBudgetBurnFast",),
        lead_s=90,
        load=Load({**_CHAT, "mock": {"fault": "status:500"}}),
    ),
    Fault(
        name="late-first-tokens",
        title=f"A stand-in engine sends the first token after {_LATE_S:g} s, and then five tokens a second",
        kind="stand-in",
        alerts=("LatencyBudgetBurnFast", "ModelTtftHigh", "ModelTpotHigh"),
        lead_s=90,
        load=Load({**_CHAT, "stream": True, "mock": {"ttft_s": _LATE_S, "interval_s": 0.2}}),
    ),
    Fault(
        name="cancelled-requests",
        title="Clients of the drill's gateway cancel after half a second",
        kind="stand-in",
        alerts=("HighCancellationRate",),
        lead_s=90,
        load=Load({**_CHAT, "stream": True, "mock": {"ttft_s": _LATE_S}}, cancel_after_s=0.5),
    ),
    Fault(
        name="wrong-key",
        title="Clients of the drill's gateway have a wrong key",
        kind="stand-in",
        alerts=("AuthenticationFailuresHigh",),
        lead_s=90,
        load=Load(_CHAT, has_valid_key=False),
    ),
    Fault(
        name="short-certificate",
        title="An endpoint of the drill's own has a certificate that expires in three days",
        kind="stand-in",
        alerts=("CertificateExpiringSoon",),
        endpoint=Endpoint(status=200, days=3),
    ),
    Fault(
        name="gateway-process",
        title="A metrics page shows a gateway that lacks a worker and a model's engine, and whose event loop is late",
        kind="synthetic",
        alerts=("GatewayWorkersMissing", "EventLoopLagHigh", "ModelUnavailable"),
        lead_s=60,
        job="gateway",
        page=pages.starved_gateway,
    ),
    Fault(
        name="gpu",
        title="A metrics page shows a lost GPU, and one that is hot, full, reports XID 79, and was read an hour ago",
        kind="synthetic",
        alerts=("GpuLost", "GpuXidError", "GpuThrottled", "GpuMemoryLow", "GpuMetricsStale"),
        lead_s=60,
        job="gpu-exporter",
        page=pages.broken_gpus,
    ),
    Fault(
        name="nginx-errors",
        title="A metrics page shows an nginx that answers 502 itself",
        kind="synthetic",
        alerts=("NginxServerErrors",),
        lead_s=60,
        job="nginx",
        page=pages.failing_nginx,
    ),
    Fault(
        name="engine-restarts",
        title="A metrics page shows an engine that is started every half minute",
        kind="synthetic",
        alerts=("EngineRestarting",),
        lead_s=120,
        job="vllm-launcher",
        page=pages.restarting_engine,
    ),
    Fault(
        name="host",
        title="A metrics page shows a disk with 5 % free, and a clock that is ten minutes ahead",
        kind="synthetic",
        alerts=("FilesystemSpaceFillingUp", "ClockSkew"),
        job="node-exporter",
        page=pages.faulty_host,
    ),
    Fault(
        name="engine",
        title="A metrics page shows an engine that hangs, with a queue, preemptions and a tenth of its throughput",
        kind="synthetic",
        alerts=("EngineStalled", "EngineQueueDepthHigh", "KvCachePreemptions", "EngineThroughputDegraded"),
        lead_s=1020,
        job="vllm",
        page=pages.hung_engine,
    ),
    Fault(
        name="privacy-canary",
        title="A metrics page shows a canary whose prompt was found in a log",
        kind="synthetic",
        alerts=("PrivacyCanaryFound",),
        job="privacy-canary",
        page=pages.leaking_log,
    ),
)

# Why no fault fires these.
NOT_DRILLED = {
    "AvailabilityBudgetBurnSlow": "Its windows are three days and six hours.",
    "LatencyBudgetBurnSlow": "Its windows are three days and six hours.",
    "ScrapeTimeout": "It compares two targets, one that is scraped too slowly and one that serves; a fault has one.",
    "SloRecordingRulesMissing": "Prometheus would have to run without its recording rules, and so without the alerts "
    "on burn rates.",
    "TokenReconciliationDrift": "Its window is an hour, and a drill is left out of the reconciliation.",
    "PrivacyCanaryStale": "It remembers a canary for hours after it has gone.",
}
