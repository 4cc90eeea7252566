"""A fault as data: what is done to the stack, and which alerts must fire."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

# real: a part of the stack itself. stand-in: a gateway, an engine or an endpoint of the drill's own, through the same
# chain as real ones. synthetic: a metrics page, so that only the rule and the delivery are tested.
Kind = Literal["real", "stand-in", "synthetic"]
Page = Callable[[float], str]

NODE_EXPORTER, SPARE_ENGINE = "node-exporter", "an engine whose models another engine serves"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A TLS endpoint of the drill's own, which the blackbox exporter probes.

    Attributes:
        status: HTTP status that it answers.
        days: validity of its certificate.
    """

    status: int
    days: int


@dataclass(frozen=True, slots=True)
class Load:
    """Requests to the drill's gateway, repeated by several clients.

    Attributes:
        body: JSON of the request; `mock` in it tells the stand-in engine how to behave.
        cancel_after_s: seconds after which a client closes the connection; None reads the whole response.
        has_valid_key: whether the gateway knows the clients' key.
    """

    body: Mapping[str, Any]
    cancel_after_s: float | None = None
    has_valid_key: bool = True


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault.

    Attributes:
        name: for `--only`.
        title: what is done, as a sentence without a full stop.
        kind: how much of the chain is real.
        alerts: those that must fire.
        lead_s: the longest that their queries need to see the fault, before `for` begins; seconds.
        stops: the part that is stopped; a name of the rig, or SPARE_ENGINE.
        endpoint: the endpoint that is probed.
        load: what the drill's gateway is asked.
        job: of the metrics page.
        page: the metrics page, by the seconds since the fault began.
    """

    name: str
    title: str
    kind: Kind
    alerts: tuple[str, ...]
    lead_s: float = 30.0
    stops: str | None = None
    endpoint: Endpoint | None = None
    load: Load | None = None
    job: str | None = None
    page: Page | None = field(default=None, repr=False)
