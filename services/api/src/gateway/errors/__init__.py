"""The exception tree: every way in which a request can fail.

GatewayError
├── ClientError                 the client can fix it (4xx)
│   ├── InvalidRequest          400, names the field in `param`
│   │   ├── ContextLengthExceeded
│   │   └── MalformedRequest    not HTTP, or HTTP that could be read in two ways
│   ├── Unauthorized            401
│   ├── Forbidden               403
│   ├── NotFound                404
│   │   └── ModelNotFound
│   ├── MethodNotAllowed        405
│   ├── RequestTimeout          408, the body did not arrive
│   ├── BodyTooLarge            413
│   ├── UnsupportedCoding       415, a content coding that is not supported
│   ├── HeadersTooLarge         431
│   └── EngineRejected          an engine refused the request, with its own 4xx
├── ClientDisconnected          nobody is left to answer
├── TooManyConnections          503, the gateway's own limit; no engine was asked
├── TooManyUploads              503, likewise
├── NoEngineReady               503, with a reason and a time to come back
├── EngineError                 an engine failed
│   ├── EngineUnreachable       refused: nothing listens there
│   ├── EngineReset             the connection broke
│   ├── EngineBadResponse       a 5xx, or bytes that are not an answer
│   ├── EngineTimeout           504, names the phase
│   │   └── EngineStalled       it has stopped making progress
│   └── EngineBusy              it works, but accepts no more requests now
│       ├── EngineRateLimited   429
│       └── EngineOverloaded    503
├── OutOfResources              503, the gateway itself has no descriptors or memory left
└── ShuttingDown                503, the gateway is shutting down

Each class says how it is answered (`status`, `type`, `code`) and counted (`outcome`), so that no handler has to choose.
"""

from gateway.errors.base import (
    GatewayError,
    Outcome,
)
from gateway.errors.client import (
    KEY_REFUSALS,
    BodyTooLarge,
    ClientError,
    ContextLengthExceeded,
    EngineRejected,
    Forbidden,
    HeadersTooLarge,
    InvalidRequest,
    KeyRefusal,
    MalformedRequest,
    MethodNotAllowed,
    ModelNotFound,
    NotFound,
    RequestTimeout,
    Unauthorized,
    UnsupportedCoding,
)
from gateway.errors.engine import (
    ATTEMPT_RESULTS,
    ENGINE_PHASES,
    PROBE_RESULTS,
    AttemptResult,
    EngineBadResponse,
    EngineBusy,
    EngineError,
    EngineOverloaded,
    EnginePhase,
    EngineRateLimited,
    EngineReset,
    EngineStalled,
    EngineTimeout,
    EngineUnreachable,
    NoEngineReady,
    ProbeResult,
)
from gateway.errors.gateway import (
    ClientDisconnected,
    OutOfResources,
    ShuttingDown,
    TooManyConnections,
    TooManyUploads,
)

__all__ = [
    "ATTEMPT_RESULTS",
    "ENGINE_PHASES",
    "KEY_REFUSALS",
    "PROBE_RESULTS",
    "AttemptResult",
    "BodyTooLarge",
    "ClientDisconnected",
    "ClientError",
    "ContextLengthExceeded",
    "EngineBadResponse",
    "EngineBusy",
    "EngineError",
    "EngineOverloaded",
    "EnginePhase",
    "EngineRateLimited",
    "EngineRejected",
    "EngineReset",
    "EngineStalled",
    "EngineTimeout",
    "EngineUnreachable",
    "Forbidden",
    "GatewayError",
    "HeadersTooLarge",
    "InvalidRequest",
    "KeyRefusal",
    "MalformedRequest",
    "MethodNotAllowed",
    "ModelNotFound",
    "NoEngineReady",
    "NotFound",
    "OutOfResources",
    "Outcome",
    "ProbeResult",
    "RequestTimeout",
    "ShuttingDown",
    "TooManyConnections",
    "TooManyUploads",
    "Unauthorized",
    "UnsupportedCoding",
]
