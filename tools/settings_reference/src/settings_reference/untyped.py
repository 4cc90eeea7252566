"""Settings of Compose, nginx's start script, certbot, Grafana and Prometheus, which declare no types."""

from settings_reference.setting import Setting

NGINX = (
    Setting(
        "TRUSTED_PROXIES",
        "",
        "Load balancers in front of nginx whose X-Forwarded-For is trusted, separated by commas.",
        "addresses or networks",
        ("nginx",),
    ),
    Setting(
        "RATE_LIMIT_RPS",
        "1000",
        "Requests per second that one address may send to nginx before it gets 429; 0 is no limit.",
        "a whole number from 0",
        ("nginx",),
    ),
    Setting(
        "CONNECTIONS_PER_IP",
        "1024",
        "Concurrent requests that one address may have at nginx before it gets 429; 0 is no limit.",
        "a whole number from 0",
        ("nginx",),
    ),
)

DOCKER = (
    Setting(
        "COMPOSE_PROFILES",
        "",
        "Optional services, separated by commas: `store` (Valkey, one for limits and cache, one for jobs), `acme` (a "
        "certificate that browsers trust), `llamacpp` (beside vLLM).",
        "store, acme, llamacpp",
        ("compose",),
    ),
    Setting(
        "COMPOSE_PROJECT_NAME",
        "glasshouse",
        "Name of the stack in Docker; two checkouts on one machine need two.",
        "a-z, 0-9, - and _",
        ("compose", "glasshouse"),
    ),
    Setting(
        "GLASSHOUSE_UID",
        "10001",
        "User ID of the containers, which owns the secrets; `make up` uses yours, unless you are root. Not 65534.",
        "a user ID",
        ("compose", "init"),
    ),
    Setting("GLASSHOUSE_GID", "10001", "Group ID of the containers.", "a group ID", ("compose", "init")),
    Setting("GLASSHOUSE_VERSION", "0.1.0", "Tag of the images that are built here.", "an image tag", ("compose",)),
    Setting(
        "ACME_EMAIL",
        "",
        "Who gets mail if the certificate for TLS_DOMAIN cannot be renewed; needs COMPOSE_PROFILES=acme.",
        "a mail address",
        ("acme",),
    ),
    Setting(
        "ACME_STAGING",
        "",
        "`1`: test certificates, which no browser trusts, without the authority's rate limits; to try whether it "
        "works.",
        "1",
        ("acme",),
    ),
    Setting(
        "ACME_SERVER", "", "Directory URL of a certificate authority other than Let's Encrypt.", "a URL", ("acme",)
    ),
    Setting(
        "ACME_INTERVAL",
        "43200",
        "Seconds between two checks whether a renewal is due.",
        "a whole number from 1",
        ("acme",),
    ),
    Setting(
        "VLLM_IMAGE",
        "vllm/vllm-openai:v0.32.0",
        "Base image of vLLM's; with the suffix -cu129 it has CUDA 12.9, for drivers older than 580.",
        "an image",
        ("compose", "glasshouse"),
    ),
    Setting(
        "PYTHON_IMAGE",
        "python:3.11.15-slim-bookworm",
        "Base image of the others: that of a mirror, or a newer patch release; Python 3.11 or newer on Debian.",
        "an image",
        ("compose",),
    ),
    Setting(
        "VLLM_MEMORY",
        "9g",
        "Memory limit of vLLM's container, beside the GPU's own memory. With the default everything fits a machine "
        "with 16 GB; CPU offloading (cpu-offload-gb) comes on top.",
        "a size, such as 9g",
        ("compose",),
    ),
    Setting(
        "LLAMACPP_MEMORY",
        "4g",
        "Memory limit of llama.cpp's container; beside vLLM it comes on top of the 16 GB.",
        "a size, such as 4g",
        ("compose",),
    ),
    Setting(
        "PROMETHEUS_RETENTION_SIZE",
        "10GB",
        "Size above which Prometheus drops its oldest data, beside PROMETHEUS_RETENTION.",
        "a size, such as 10GB",
        ("compose",),
    ),
    Setting(
        "ALERTS_TO",
        "nobody",
        "Who is notified of Grafana's alerts: `nobody` (alerts are only shown); `slack`, `discord` or `webhook`, with "
        "the URL in the file grafana/alert-url in SECRETS_DIR; or `email`.",
        "nobody, slack, discord, webhook or email",
        ("grafana-init", "grafana"),
    ),
    Setting(
        "ALERTS_QUIET",
        "never",
        "Quiet hours, in which alerts that can wait do so: `never`, `nights` (20:00 to 8:00) or `nights-and-weekends`. "
        "Urgent alerts are always sent.",
        "never, nights or nights-and-weekends",
        ("grafana-init", "grafana"),
    ),
    Setting(
        "ALERTS_TIMEZONE",
        "UTC",
        "Time zone of quiet hours, such as Asia/Seoul.",
        "a name of the time zone database",
        ("compose", "glasshouse"),
    ),
    Setting(
        "ALERTS_EMAIL",
        "",
        "Who gets mail if ALERTS_TO=email; several are separated by semicolons.",
        "mail addresses",
        ("grafana-init", "grafana"),
    ),
    Setting(
        "RUNBOOK_URL",
        "",
        "Address of docs/runbook.md as your people can open it, such as "
        "https://git.example.org/llm/glasshouse/blob/main/docs/runbook.md: alerts link to their section of it. Unset: "
        "they name the file.",
        "an http or https address",
        ("grafana-init", "grafana"),
    ),
    Setting(
        "SMTP_HOST",
        "",
        "Mail server with its port, such as smtp.example.org:587. Its password is in the file grafana/smtp-password in "
        "SECRETS_DIR.",
        "host:port",
        ("grafana-init", "compose"),
    ),
    Setting("SMTP_USER", "", "User name at the mail server; unset: no login.", "text", ("compose",)),
    Setting("SMTP_FROM", "", "Sender address of the mail.", "a mail address", ("compose",)),
    Setting(
        "NO_PROXY",
        "localhost",
        "Hosts that Grafana reaches without the proxy that Docker configures for its containers, beside Prometheus.",
        "host names, separated by commas",
        ("compose",),
    ),
)

LLAMACPP_SETTINGS_FILE = Setting(
    "LLAMACPP_SETTINGS_FILE",
    "",
    "TOML file with these settings, for those who prefer one.",
    "a path",
    ("llamacpp without Docker",),
)

VLLM_MODEL = Setting(
    "VLLM_MODEL",
    "",
    "The model itself, if no model file is used or it names another one. Every option of `vllm serve` can be set like "
    "this: VLLM_MAX_MODEL_LEN=8192 is --max-model-len 8192.",
    "a name on Hugging Face, or a path",
    ("vllm",),
)
