"""How a request can end: the pairs of outcome and code that exist at zero, by its route and by the label of its model.

A pair that is not possible is left out, so that each combination of labels costs Prometheus a series only if it can
happen. tests/integration/ledger sends a request of each kind and finds no series that was not there before.
"""

from collections.abc import Mapping

from gateway.errors import Outcome

Ending = tuple[Outcome, str]

# Outcomes of a stream that broke off after its first tokens, which were then wasted; also of one that the gateway
# aggregates into a plain response.
WASTED_OUTCOMES: tuple[Outcome, ...] = (
    *("cancelled", "timeout", "stream_error", "engine_error", "internal_error", "client_error"),
)

# The gateway's own failures: an error in it, and a shortage or a stop.
_INTERNAL_ERRORS: tuple[Ending, ...] = (("internal_error", "500"), ("internal_error", "503"))

# A relayed request to a model that an engine serves. Other 4xx of an engine than these get a series when they occur.
KNOWN_MODEL: tuple[Ending, ...] = (
    ("ok", "200"),
    ("client_error", "400"),
    ("client_error", "404"),
    ("client_error", "413"),
    ("client_error", "422"),
    ("rate_limited", "429"),
    ("cancelled", "499"),
    ("cancelled", "200"),
    ("timeout", "504"),
    ("timeout", "200"),
    ("engine_error", "502"),
    ("engine_error", "503"),
    ("stream_error", "200"),
    *_INTERNAL_ERRORS,
)
# The engine reports after the first event that the request was to blame.
KNOWN_MODEL_STREAM: tuple[Ending, ...] = (*KNOWN_MODEL, ("client_error", "200"))
# A relayed request to a model that no engine serves: it ends before an engine is asked.
UNKNOWN_MODEL: tuple[Ending, ...] = (("client_error", "404"), ("engine_error", "503"), *_INTERNAL_ERRORS)
# A relayed request that ends before its model is known, or that may not use it. 200 answers a browser's preflight.
NO_MODEL: tuple[Ending, ...] = (
    ("ok", "200"),
    ("client_error", "400"),
    ("client_error", "401"),
    ("client_error", "403"),
    ("client_error", "405"),
    ("client_error", "408"),
    ("client_error", "413"),
    ("client_error", "415"),
    ("cancelled", "499"),
    ("timeout", "504"),
    ("queue_full", "503"),
    *_INTERNAL_ERRORS,
)

_PAGE: tuple[Ending, ...] = (("ok", "200"), ("client_error", "405"), *_INTERNAL_ERRORS)
_WITH_KEY: tuple[Ending, ...] = (*_PAGE, ("client_error", "401"))
# Routes that are not relayed. "other" is a path that does not exist, a request that cannot be read, a preflight, and a
# page of the documentation.
ROUTES: Mapping[str, tuple[Ending, ...]] = {
    "/": _WITH_KEY,
    "/livez": _PAGE,
    "/readyz": _PAGE,
    "/healthz": _PAGE,
    "/health": _PAGE,
    "/models/status": _WITH_KEY,
    "/v1/models": _WITH_KEY,
    "/v1/models/{model:path}": (*_WITH_KEY, ("client_error", "404")),
    "other": (
        *_PAGE,
        *(("client_error", code) for code in ("400", "403", "404", "408", "413", "431")),
        ("queue_full", "503"),
    ),
}  # fmt: skip
