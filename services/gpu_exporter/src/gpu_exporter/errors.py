"""What can go wrong while reading GPUs.

- Failure: something could not be read
  - SeriesFailure: that series is left out, the others are kept
  - GpuFailure: that GPU's series are left out, and the collection has failed
  - SessionFailure: nothing can be read, and the collection has failed

After a failed collection the next snapshot restarts NVML. A wrong setting is `launcher.errors.ConfigurationError`.
"""


class Failure(Exception):
    """Something could not be read; the text is for the operator.

    Attributes:
        permanent: it will not go away within this process once NVML has worked, so a new container is needed.
    """

    def __init__(self, text: str, *, permanent: bool = False) -> None:
        super().__init__(text)
        self.permanent = permanent


class SeriesFailure(Failure):
    """One call fails on this GPU: card, driver or permissions do not allow it."""


class GpuFailure(Failure):
    """One GPU is lost or answers no call."""


class SessionFailure(Failure):
    """NVML as a whole does not work, or there is no GPU."""
