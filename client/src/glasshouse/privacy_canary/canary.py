"""One run: prompts with a new token through the public API, and a search for the token in every place."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from glasshouse.api import Api
from glasshouse.errors import ApiError
from glasshouse.privacy_canary import places
from glasshouse.privacy_canary.places import Place, Run, Unreadable
from glasshouse.privacy_canary.settings import Settings

# found: somewhere; clean: nowhere, and everything was read; incomplete: nowhere, but not everything could be read;
# failed: nowhere, but the prompts were not answered.
Result = Literal["clean", "found", "incomplete", "failed"]
RESULTS: tuple[Result, ...] = get_args(Result)

_MAX_TOKENS = 16
_SILENCE_S = 120.0


@dataclass(slots=True)
class Report:
    """What a run has shown.

    Attributes:
        found: How often the token was in each place that could be read.
        unreadable: Why the others could not be read.
        failure: Why the prompts were not answered; None if they were.
    """

    found: dict[str, int] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    failure: str | None = None

    @property
    def result(self) -> Result:
        """The run in a word."""
        if any(self.found.values()):
            return "found"
        if self.failure is not None:
            return "failed"
        return "incomplete" if self.unreadable or not self.found else "clean"


def is_ready(settings: Settings) -> bool:
    """Whether the API can answer prompts."""
    try:
        with Api(settings.url, certificate=settings.certificate, check_hostname=False) as api:
            return api.get("/healthz").status == 200  # noqa: PLR2004 - OK
    except ApiError:
        return False


def run(settings: Settings, sleep: Callable[[float], None] = time.sleep) -> Report:
    """Sends the prompts, waits, and searches.

    Where the prompts fail it searches all the same: errors are what leaks most easily.
    """
    token = secrets.token_hex(16)
    this = Run(request_id=f"privacy-canary-{secrets.token_hex(8)}", began=time.time())
    report = Report()
    try:
        _send(settings, this, token)
    except ApiError as error:
        report.failure = str(error).replace(token, "(the token)")
    sleep(settings.settle)
    for place in places.places(settings):
        _search(place, this, token, report)
    return report


def _search(place: Place, this: Run, token: str, report: Report) -> None:
    try:
        report.found[place.name] = places.occurrences(place.read(this), token.encode())
    except Unreadable as error:
        report.unreadable[place.name] = str(error)


def _send(settings: Settings, this: Run, token: str) -> None:
    """A streamed prompt, a plain one, and one that is refused, which an error message may quote.

    Raises:
        ApiError: The first two were not answered, or the third was.
    """
    try:
        key = settings.key_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ApiError(f"The canary has no key of its own: {settings.key_file} cannot be read.") from error
    headers = {"X-Request-Id": this.request_id}
    with Api(
        settings.url,
        certificate=settings.certificate,
        key=key,
        timeout=_SILENCE_S,
        headers=headers,
        check_hostname=False,
    ) as api:
        body = _chat(api.first_model(), token)
        for _ in api.stream("/v1/chat/completions", {**body, "stream": True}):
            pass
        api.post("/v1/chat/completions", body).checked()
        refused = api.post("/v1/chat/completions", {**body, "messages": token, "temperature": token})
        if not 400 <= refused.status < 500:  # noqa: PLR2004 - the client's errors
            raise ApiError(f"A prompt that is no list of messages was answered with {refused.status}.")


def _chat(model: str, token: str) -> dict[str, Any]:
    return {
        "model": model,
        "messages": [{"role": "user", "content": f"This is a test. Repeat this word: {token}"}],
        "max_tokens": _MAX_TOKENS,
    }
