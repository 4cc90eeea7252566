"""Outlier detection for one engine, as Envoy does it for hosts: when to eject it, for how long, and how it returns.

Why a request failed is not known here: the caller has decided that the engine is to blame. All times are
`time.monotonic`, in seconds.
"""

from math import inf

_FAILURES_TO_EJECT = 5
_BASE_EJECTION_S = 30.0
_MAX_EJECTION_S = 300.0
# Each such period without a new ejection shortens the next one by a step.
_DECAY_S = 60.0


class Outlier:
    """Consecutive failures of an engine, and the ejections that follow from them.

    Attributes:
        failures: Consecutive incidents since the last finished response.
        ejected_until: When the engine may be tried again; -inf when it is not ejected.
        on_trial: Whether the one request that decides whether it returns is in flight.
    """

    __slots__ = ("_last_failure", "_level", "_released", "ejected_until", "failures", "on_trial")

    def __init__(self) -> None:
        self._last_failure = -inf
        self._level = 0
        self._released = -inf
        self.failures = 0
        self.ejected_until = -inf
        self.on_trial = False

    @property
    def is_ejected(self) -> bool:
        """Whether it has been ejected and has not finished a response since."""
        return self.ejected_until > -inf

    def may_be_tried(self, now: float) -> bool:
        """Whether a trial request is due, and none is in flight."""
        return self.is_ejected and now >= self.ejected_until and not self.on_trial

    def fail(self, began: float, now: float) -> bool:
        """Counts a failed request; True when the engine should be ejected now.

        All requests that were in flight when something broke fail together, and count as one incident.

        Args:
            began: When the request began.
            now: When it failed.
        """
        if began <= self._last_failure:
            return False
        self._last_failure = now
        self.failures += 1
        return self.is_ejected or self.failures >= _FAILURES_TO_EJECT

    def eject(self, now: float) -> None:
        """Ejects the engine: longer each time, up to a limit, and shorter again the longer it has been healthy."""
        healthy_s = 0.0 if self.is_ejected else now - self._released
        self._level = 1 + max(0, self._level - int(min(healthy_s, _MAX_EJECTION_S * _DECAY_S) / _DECAY_S))
        self.ejected_until = now + min(_BASE_EJECTION_S * self._level, _MAX_EJECTION_S)
        self.failures = 0

    def succeed(self, now: float) -> None:
        """A response was finished: failures are counted from zero again."""
        if self.is_ejected:
            self._released = now
            self.ejected_until = -inf
        self.failures = 0
