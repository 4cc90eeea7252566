"""The command line's first step: `python -m glasshouse`, and the console script.

Python has taken over Ctrl-C before any of our code runs, and prints a stack trace where nobody catches it. The imports
take a second, in which somebody may have thought better of it. Nothing has been started by then, so that Ctrl-C may
just end the process. For the first hundredth of a second, in which Python itself starts, the Makefile blocks it.
"""

# The built-in part of `signal`: importing the rest of it takes long enough to be interrupted.
import _signal as signal  # type: ignore[import-not-found]  # typeshed has it under its public name only


def main() -> None:
    """Imports the command line and runs it."""
    handler = signal.getsignal(signal.SIGINT)
    is_ours = handler is signal.default_int_handler  # in a background job of a shell it is ignored, and stays so
    if is_ours:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    from glasshouse import cli  # noqa: PLC0415 - it is the import that takes long

    try:
        if is_ours:
            signal.signal(signal.SIGINT, handler)
        cli.main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None  # ExitCode.INTERRUPTED, whose module may not be there yet
    finally:
        if is_ours:  # nor is there anything to say while the interpreter ends
            signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    main()
