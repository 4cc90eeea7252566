"""The shapes of the stack that dashboards are generated for: which parts each of them has.

Grafana cannot hide a row whose queries are empty, so that a row of an engine that the stack does not have is left out
of the file: docs/decisions/0031.
"""

from observability.panel import Part

Parts = frozenset[Part]

ALL: Parts = frozenset({"vllm", "llamacpp", "gpu"})
# By directory of grafana/dashboards. `all` is for stacks whose ENGINES is set: it may name any engine.
SHAPES: dict[str, Parts] = {"all": ALL, "gpu": frozenset({"vllm", "gpu"}), "cpu": frozenset({"llamacpp"})}
