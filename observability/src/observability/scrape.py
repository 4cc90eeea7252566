"""Prometheus' scrape configurations for the three shapes of the stack, and the blackbox exporter's module.

A job is named after the part it scrapes, never after how it is deployed: queries match `job`, and one dashboard works
for all shapes. A shape without a part has no job for it, so that "target down" means a part that should be there.
"""

from observability import settings

Config = dict[str, object]

ENGINE_KEY_FILE = "/run/glasshouse/engine-key"
# Beside the configuration. Grafana evaluates the alerts and notifies; Prometheus evaluates them too, for the series
# that dashboards show, and notifies nobody.
RECORDING_RULES, ALERT_RULES = "rules/recording.yml", "rules/alerts.yml"
PRIVACY_CANARY = "privacy-canary"
# Must not change in an upgrade: Prometheus and the blackbox exporter read their files when they are restarted, each at
# its own time, and a probe with an unknown module fails.
PROBE_MODULE = "front_door"
# Written by `make drill` while it runs; beside the configuration. The name is also the job's.
DRILL_TARGETS = "drill/targets.json"


def gpu() -> Config:
    """The composed stack with vLLM on a GPU."""
    return _config(
        _gateway("api:9091"),
        _job("vllm", "vllm:8001"),
        _job("vllm-launcher", "vllm:8101"),
        _optional_job("llamacpp", "llamacpp", 8002, authorization={"credentials_file": ENGINE_KEY_FILE}),
        _optional_job("llamacpp-launcher", "llamacpp", 8102),
        _job("gpu-exporter", "gpu-exporter:9400"),
        *_common_jobs(),
    )


def cpu() -> Config:
    """The composed stack with llama.cpp alone."""
    return _config(
        _gateway("api:9091"),
        _llamacpp("llamacpp:8002", ENGINE_KEY_FILE),
        _job("llamacpp-launcher", "llamacpp:8102"),
        *_common_jobs(),
    )


def native() -> Config:
    """The stack without Docker: `make up` fills in the ${…}, and runs neither exporters nor Grafana."""
    return _config(
        _gateway("${METRICS_ADDRESS}"),
        _llamacpp("127.0.0.1:${LLAMACPP_PORT}", "${ENGINE_KEY_FILE}"),
        _job("llamacpp-launcher", "127.0.0.1:${LLAMACPP_STATUS_PORT}"),
        _job("prometheus", "127.0.0.1:${PROMETHEUS_PORT}"),
        # Without targets unless PRIVACY_CANARY is true.
        {
            "job_name": PRIVACY_CANARY,
            "static_configs": [{"targets": "${PRIVACY_CANARY_TARGETS}", "labels": {"vm": settings.VM}}],
        },
        alerts=False,  # shown by Grafana, which does not run here
    )


def blackbox() -> Config:
    """The blackbox exporter's module: probes nginx over TLS as a client would."""
    return {
        "modules": {
            PROBE_MODULE: {
                "prober": "http",
                "timeout": f"{settings.PROBE_TIMEOUT_SECONDS - 1}s",
                "http": {
                    "fail_if_not_ssl": True,
                    "valid_status_codes": [200],
                    "follow_redirects": False,
                    "preferred_ip_protocol": "ip4",
                    "ip_protocol_fallback": True,
                    # The first certificate is self-signed; its expiry is exported all the same.
                    "tls_config": {"insecure_skip_verify": True},
                },
            }
        }
    }


def _config(*jobs: Config, alerts: bool = True) -> Config:
    return {
        "global": {
            "scrape_interval": f"{settings.SCRAPE_INTERVAL_SECONDS}s",
            "scrape_timeout": f"{settings.SCRAPE_TIMEOUT_SECONDS}s",
            "evaluation_interval": f"{settings.EVALUATION_INTERVAL_SECONDS}s",
        },
        "rule_files": [RECORDING_RULES, *([ALERT_RULES] if alerts else [])],
        "scrape_configs": list(jobs),
    }


def _job(name: str, *targets: str, **more: object) -> Config:
    return {"job_name": name, **more, "static_configs": [_static_config(*targets)]}


def _gateway(target: str) -> Config:
    return _job("gateway", target)


def _llamacpp(target: str, key_file: str) -> Config:
    """llama.cpp requires the engine key on /metrics too; vLLM does not."""
    return _job("llamacpp", target, authorization={"credentials_file": key_file})


def _optional_job(name: str, service: str, port: int, **more: object) -> Config:
    """A job without targets where its service does not run, since COMPOSE_PROFILES does not name it."""
    return {
        "job_name": name,
        **more,
        # Looked up once a minute: without the service each lookup is a line in Prometheus' log.
        "dns_sd_configs": [{"names": [service], "type": "A", "port": port, "refresh_interval": "60s"}],
        "relabel_configs": [
            {
                "source_labels": ["__meta_dns_name"],
                "target_label": "instance",
                "replacement": f"$1:{port}",
            },
            {"target_label": "vm", "replacement": settings.VM},
        ],
    }


def _static_config(*targets: str) -> Config:
    """Targets with the label `vm`, by which a Prometheus that scrapes several VMs tells them apart."""
    return {"targets": list(targets), "labels": {"vm": settings.VM}}


def _common_jobs() -> list[Config]:
    """The jobs of every composed stack besides gateway and engines."""
    return [
        # The exporter, and what nginx answers itself, which the exporter does not know.
        _job("nginx", "nginx-exporter:9113", "nginx:8081"),
        _job("node-exporter", "node-exporter:9100"),
        _probe("https://nginx/healthz"),
        # With serve_from_sub_path Grafana redirects every path outside /grafana/.
        _job("grafana", "grafana:3000", metrics_path="/grafana/metrics"),
        _job("prometheus", "127.0.0.1:9090"),
        _optional_job(PRIVACY_CANARY, PRIVACY_CANARY, 9097),
        _drill(),
    ]


def _drill() -> Config:
    """Targets of `make drill` (docs/decisions/0035), each with the `job` of the part that it stands in for."""
    return {
        "job_name": "drill",
        # Inotify does not reach through every mount.
        "file_sd_configs": [{"files": [DRILL_TARGETS], "refresh_interval": "5s"}],
        "relabel_configs": [{"target_label": "vm", "replacement": settings.DRILL_VM}],
        # Of a real part that is scraped a second time, only `up` is kept: its other series exist already.
        "metric_relabel_configs": [{"source_labels": ["drill"], "regex": "up", "action": "drop"}],
    }


def _probe(address: str) -> Config:
    return {
        "job_name": "probe",
        "metrics_path": "/probe",
        "params": {"module": [PROBE_MODULE]},
        "scrape_interval": f"{settings.PROBE_INTERVAL_SECONDS}s",
        "scrape_timeout": f"{settings.PROBE_TIMEOUT_SECONDS}s",
        "static_configs": [_static_config(address)],
        # The probed address becomes a parameter and `instance`; the exporter is what is scraped.
        "relabel_configs": [
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"source_labels": ["__param_target"], "target_label": "instance"},
            {"target_label": "__address__", "replacement": "blackbox:9115"},
        ],
    }
