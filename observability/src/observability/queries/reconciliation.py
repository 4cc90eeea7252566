"""Reconciliation: what the engines count, compared with what the gateways count, and the difference by cause.

Two gateways may share an engine, so only Prometheus sees all of both. Everything is summed over all engines, gateways
and VMs. What each counter means was read in the engines' sources (vLLM 0.32, llama.cpp of the xllamacpp wheel) and
measured; docs/decisions/0033 has it:

- vLLM counts output tokens as they are generated and a prompt when its prefill is complete, cached tokens included;
  preempted requests are counted once. Its per-request histograms count finished requests only, so that counter minus
  histogram is what was aborted or still runs.
- llama.cpp counts evaluated and cached prompt tokens in two counters, as they are processed, and output tokens when
  their request leaves its slot, aborted or not. It does not count requests.
- A gateway counts tokens by the usage that an engine reports at the end of a response. The output of a response
  without usage is counted in events; the length of its prompt is unknown.
"""

from collections.abc import Callable
from dataclasses import dataclass

from observability import downsampling, settings
from observability.promql import Scope, share, total
from observability.queries import llamacpp, vllm
from observability.queries.gateway import JOB, requests
from observability.queries.gateway.engines import served_models

WINDOW = "5m"
WINDOW_SECONDS = 300
# Every evaluation covers the window, so that each token is counted in this many of them.
EVALUATIONS_PER_WINDOW = WINDOW_SECONDS // settings.RECONCILIATION_INTERVAL_SECONDS
# What panels add up over days: recorded of long steps too.
PARTS = ("engines", "gateways", "unfinished", "drift")
CAUSES = ("probe", "unfinished", "retry", "restart", "direct", "unattributed")
_SCOPE = Scope(WINDOW, without_drill=True)
_VLLM_MODEL = served_models(_SCOPE, 'kind="vllm"')
# Results after which an engine may have worked for a response that nobody got.
_CUT_SHORT = 'result=~"cancelled|timeout|reset|broken|error"'


@dataclass(frozen=True, slots=True)
class Quantity:
    """Something that engines and gateways both count.

    Attributes:
        name: as in `reconciliation:<name>_engines:increase5m`.
        title: for readers.
        engines: PromQL: the engines' increase in the window. Empty where no engine is scraped.
        gateways: PromQL: the gateways' increase.
        probe: PromQL: the share of the gateways' own probes, which their ledger leaves out.
        unfinished: PromQL: requests that were aborted, or ran at the window's edges, as far as they can be counted.
        unfinished_limit: PromQL: at most this much more can come from requests that were aborted.
        retry_limit: PromQL: at most this much can come from attempts that were retried.
        minimum: a smaller drift in an hour does not alert.
    """

    name: str
    title: str
    engines: str
    gateways: str
    probe: str
    unfinished: str
    unfinished_limit: str
    retry_limit: str
    minimum: int

    def series(self, part: str) -> str:
        """The name of a recorded series of it."""
        return f"reconciliation:{self.name}_{part}:increase{WINDOW}"

    def steps(self, part: str) -> str:
        """The name of the series of one of PARTS by the minute: a window's share of each of its evaluations."""
        return f"reconciliation:{self.name}_{part}:increase1m"


def quantities() -> tuple[Quantity, ...]:
    """Output tokens, input tokens, and requests, which only vLLM counts."""
    wasted = _gateway("wasted_tokens_total")
    wasted_by_vllm = f"sum(sum by (model) (increase({wasted}[{WINDOW}])) and on (model) {_VLLM_MODEL})"
    generated, finished = _vllm("generation_tokens_total"), _vllm("request_generation_tokens_sum")
    prompts, finished_prompts = _vllm("prompt_tokens_total"), _vllm("request_prompt_tokens_sum")
    predicted = _llamacpp("tokens_predicted_total")
    evaluated, cached = _llamacpp("prompt_tokens_total"), _llamacpp("prompt_tokens_cached_total")
    tokens = {kind: _gateway("tokens_total", f'type="{kind}"') for kind in ("input", "output")}
    probe = {kind: _gateway("engine_probe_tokens_total", f'type="{kind}"') for kind in ("input", "output")}
    cut_short, retries = _gateway("engine_requests_total", _CUT_SHORT), _gateway("engine_retries_total")
    return (
        Quantity(
            "output_tokens",
            "Output tokens",
            engines=_any(generated, predicted),
            gateways=_increase(tokens["output"]),
            probe=_or_zero(_increase(probe["output"])),
            unfinished=f"{_or_zero(_increase(wasted))} - {_or_zero(wasted_by_vllm)} + "
            + _difference(generated, finished),
            unfinished_limit=_or_zero(wasted_by_vllm),
            retry_limit=f"{_or_zero(_increase(retries))} * {_mean(tokens['output'])}",
            minimum=settings.MIN_DRIFT_TOKENS,
        ),
        Quantity(
            "input_tokens",
            "Input tokens",
            engines=_any(prompts, evaluated, cached),
            gateways=_increase(tokens["input"]),
            probe=_or_zero(_increase(probe["input"])),
            unfinished=_difference(prompts, finished_prompts),
            unfinished_limit=f"{_or_zero(_increase(cut_short))} * {_mean(tokens['input'])} * "
            f"{settings.UNFINISHED_PROMPT_FACTOR}",
            retry_limit=f"{_or_zero(_increase(retries))} * {_mean(tokens['input'])}",
            minimum=settings.MIN_DRIFT_TOKENS,
        ),
        Quantity(
            "requests",
            "Requests (vLLM)",
            engines=_or_zero(_increase(_vllm("request_success_total"))),
            gateways=_or_zero(_of_vllm("engine_requests_total", 'result="ok"')),
            probe=_or_zero(_of_vllm("engine_probes_total", 'result="ok"')),
            unfinished="vector(0)",
            unfinished_limit=_or_zero(_of_vllm("engine_requests_total", _CUT_SHORT)),
            retry_limit="vector(0)",
            minimum=settings.MIN_DRIFT_REQUESTS,
        ),
    )


def restarts() -> str:
    """Restarts of engines and gateways, and targets of theirs that missed scrapes: counts were lost then."""
    counters = (
        _vllm("generation_tokens_total"), _llamacpp("tokens_predicted_total"), _llamacpp("prompt_tokens_total"),
        _gateway("event_loop_lag_seconds_count"),
    )  # fmt: skip
    targets = _SCOPE.series("up", f"{JOB}|{vllm.JOB}|{llamacpp.JOB}")
    resets = [_or_zero(f"sum(resets({counter}[{WINDOW}]))") for counter in counters]
    return " + ".join([*resets, _or_zero(f"count(min_over_time({targets}[{WINDOW}]) == 0)")])


def nginx_requests() -> str:
    """The increase of nginx's requests: clients', Grafana's, health checks, and those that it refuses."""
    return _increase(_SCOPE.series("nginx_http_requests_total", "nginx"))


def nginx_scrapes() -> str:
    """The increase of nginx's requests by its own exporter: one for each scrape."""
    return total(f"count_over_time({_SCOPE.series('nginx_http_requests_total', 'nginx')}[{WINDOW}])")


def relayed_requests() -> str:
    """The increase of the gateways' requests, counted when they start as nginx's are, without health checks."""
    return _increase(_gateway("requests_started_total", requests.NO_HEALTH_CHECK))


# ---- For panels and alerts


def over_range(part: str, scope: Scope) -> str:
    """A recorded part of each quantity in the window, one of PARTS, with the quantity's title as `of`."""
    return _each(lambda quantity: downsampling.count(scope, quantity.steps(part)))


def drift_over_range(scope: Scope) -> str:
    """The drift in the window: as `drift`, for panels."""
    return _each(
        lambda quantity: share(*(downsampling.count(scope, quantity.steps(part)) for part in ("drift", "engines")))
    )


def residual(name: str) -> str:
    """The residual of a quantity by cause, in the last five minutes."""
    return f"reconciliation:{name}_residual:increase{WINDOW}{{}}"


def drift(window: str) -> str:
    """What no cause but direct traffic explains, relative to the engines' count; above 0 the engines count more."""
    return _each(lambda quantity: _drift(quantity, window))


def significant_drift(window: str) -> str:
    """The drift in either direction, of those quantities in which it is more than a few tokens or requests."""

    def significant(quantity: Quantity) -> str:
        missing = f"abs({_summed(quantity.series('drift'), window)}) / {EVALUATIONS_PER_WINDOW}"
        return f"abs({_drift(quantity, window)}) and {missing} >= {quantity.minimum}"

    return _each(significant)


def _drift(quantity: Quantity, window: str) -> str:
    return share(_summed(quantity.series("drift"), window), _summed(quantity.series("engines"), window))


def _each(expression: Callable[[Quantity], str]) -> str:
    return " or ".join(
        f'label_replace({expression(quantity)}, "of", "{quantity.title}", "", "")' for quantity in quantities()
    )


def _summed(series: str, window: str) -> str:
    return f"sum_over_time({series}{{}}[{window}])"


# ---- Counters


def _vllm(name: str) -> str:
    return vllm.series(_SCOPE, name)


def _llamacpp(name: str) -> str:
    return llamacpp.series(_SCOPE, name)


def _gateway(name: str, *matchers: str) -> str:
    return _SCOPE.series(f"gateway_{name}", JOB, *matchers)


def _of_vllm(name: str, matcher: str) -> str:
    """The increase of a counter by engine, of vLLM engines only; each gateway has its own names for them."""
    return f"sum(increase({_gateway(name, matcher)}[{WINDOW}]) and on (engine, instance, vm) {_VLLM_MODEL})"


def _increase(counter: str) -> str:
    return total(f"increase({counter}[{WINDOW}])")


def _or_zero(expression: str) -> str:
    return f"({expression} or vector(0))"


def _any(*counters: str) -> str:
    """The sum of the increases of those counters that are scraped; empty without any."""
    known = " or ".join(_increase(counter) for counter in counters)
    return f"{' + '.join(_or_zero(_increase(counter)) for counter in counters)} and ({known})"


def _difference(counter: str, finished: str) -> str:
    return _or_zero(f"{_increase(counter)} - {_increase(finished)}")


def _mean(tokens: str) -> str:
    """Tokens of a successful attempt, on average."""
    return _or_zero(share(_increase(tokens), _increase(_gateway("engine_requests_total", 'result="ok"'))))
