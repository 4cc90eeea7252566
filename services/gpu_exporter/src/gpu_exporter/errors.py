"""What can go wrong.

- ExporterError
  - ConfigurationError: a person must change a variable; one sentence, exit code 2
  - Failure: something could not be read
    - SeriesFailure: that series is left out, all else stands
    - GpuFailure: that GPU's series are left out, and the collection has failed
    - SessionFailure: nothing can be read, and the collection has failed

The snapshot after a failed one starts NVML anew.
"""


class ExporterError(Exception):
    """Anything that the exporter reports; the text is for the operator."""


class ConfigurationError(ExporterError):
    """A variable that cannot work; the text is one sentence naming it, its value and what is allowed."""


class Failure(ExporterError):
    """Something could not be read.

    Attributes:
        lasting: within this process it stays like this once NVML has worked, so a new container is needed.
    """

    def __init__(self, text: str, *, lasting: bool = False) -> None:
        super().__init__(text)
        self.lasting = lasting


class SeriesFailure(Failure):
    """One call has no answer on this GPU: the card, the driver or the permissions do not give it."""


class GpuFailure(Failure):
    """One GPU is lost or tells nothing."""


class SessionFailure(Failure):
    """NVML as a whole does not work, or there is no GPU."""
