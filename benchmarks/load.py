"""The load generator: one process, a Protocol per connection, as little work as possible between two reads.

It checks every answer, but streams only after the measuring has ended: their bytes are kept, not read, while they come.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import cast

import httptools
import orjson

HOST = "127.0.0.1"
PATH = "/v1/chat/completions"
OK = 200
CONNECT_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Door:
    """Where to send requests.

    Args:
        port: on 127.0.0.1.
        key: sent as a bearer token.
        model: named in the requests.
    """

    port: int
    key: str = "none"
    model: str = "mock"

    def request(self, tokens: int, interval_s: float, *, stream: bool) -> bytes:
        """Return a whole HTTP request for so many tokens, so many seconds apart."""
        body = orjson.dumps(
            {
                "model": self.model,
                "messages": [{"role": "user", "content": "Say a few words about glass, please."}],
                "max_tokens": tokens,
                "stream": stream,
                "mock": {"tokens": tokens, "interval_s": interval_s},
            }
        )
        head = (
            f"POST {PATH} HTTP/1.1\r\nhost: {HOST}:{self.port}\r\nauthorization: Bearer {self.key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def words(tokens: int) -> str:
    """Return the text that the mock makes of so many tokens; written again here, so that each checks the other."""
    return "".join(f" w{number % 1000:03d}" for number in range(tokens))


@dataclass(slots=True)
class Outcome:
    """What a load came to.

    Args:
        done: requests answered completely and rightly.
        tokens: token events in them, for streams.
        ttft_ms: milliseconds to the first byte of each good stream's body.
        failures: what went wrong, with how often; `done` and these add up to all requests.
        wall_s: how long it took.
    """

    done: int = 0
    tokens: int = 0
    ttft_ms: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    wall_s: float = 0.0


@dataclass(slots=True)
class Budget:
    """Requests that are still to be sent, shared by the connections."""

    left: int

    def take(self) -> bool:
        """Take one; false when there is none."""
        if self.left <= 0:
            return False
        self.left -= 1
        return True


@dataclass(slots=True)
class Answer:
    """One answer as it came, to be judged later.

    Args:
        status: HTTP status; 0 until the head was read.
        pieces: of the body, without HTTP chunks.
        ttft_s: seconds from the sending of the request to the first piece; negative until then.
        complete: HTTP's end was seen.
    """

    status: int = 0
    pieces: list[bytes] = field(default_factory=list)
    ttft_s: float = -1.0
    complete: bool = False


class Client(asyncio.Protocol):
    """One connection that sends the same request again and again, one at a time, while the budget lasts.

    Args:
        request: the bytes to send.
        budget: how many requests there still are.
        answers: where every answer goes, broken ones too.
    """

    def __init__(self, request: bytes, budget: Budget, answers: list[Answer]) -> None:
        self._request, self._budget, self._answers = request, budget, answers
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answer: Answer | None = None
        self._sent_at = 0.0
        self.idle = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports do not derive from asyncio's

    def data_received(self, data: bytes) -> None:
        """Parse; an answer that is no HTTP ends the connection."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave a broken answer as it is, and let the owner connect again."""
        del exc
        self._transport, self._answer = None, None
        self._rest()

    def send(self) -> None:
        """Send the next request, or rest when there is none."""
        if self._transport is None or not self._budget.take():
            self._rest()
            return
        self._answer = Answer()
        self._answers.append(self._answer)
        self._sent_at = time.perf_counter()
        self._transport.write(self._request)

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def on_body(self, body: bytes) -> None:
        """Keep a piece; this is the hot path of a stream."""
        answer = self._answer
        if answer is None:
            return
        if answer.ttft_s < 0:
            answer.ttft_s = time.perf_counter() - self._sent_at
            answer.status = self._parser.get_status_code()
        answer.pieces.append(body)

    def on_message_complete(self) -> None:
        """Close this answer and go on."""
        answer = self._answer
        if answer is None:
            return
        answer.status, answer.complete, self._answer = self._parser.get_status_code(), True, None
        if self._parser.should_keep_alive():
            self.send()
        else:
            self.close()

    def _rest(self) -> None:
        if not self.idle.done():
            self.idle.set_result(None)


async def plain_load(door: Door, *, requests: int, connections: int, tokens: int, timeout_s: float) -> Outcome:
    """Send plain requests over so many connections, each the next as soon as the last was answered."""
    request = door.request(tokens, 0, stream=False)
    budget = Budget(requests)
    answers, wall_s = await _drive(door, request, [budget] * connections, 0.0, timeout_s)
    outcome = Outcome(wall_s=wall_s)
    wanted = f'"{words(tokens)}"'.encode()
    for answer in answers:
        reason = _broken(answer) or (None if wanted in b"".join(answer.pieces) else "wrong text")
        if reason is None:
            outcome.done += 1
        else:
            outcome.failures[f"plain: {reason}"] += 1
    _count_unsent(outcome, "plain", requests - len(answers))
    return outcome


async def stream_load(
    door: Door, *, streams: int, repeats: int, tokens: int, interval_s: float, timeout_s: float
) -> Outcome:
    """Keep so many streams running, each repeated on its own connection.

    The first ones start spread over the length of a stream, since with real clients they do not all start at once: the
    TTFT is that of a request that arrives among running streams, not the length of a queue of simultaneous ones.
    """
    request = door.request(tokens, interval_s, stream=True)
    budgets = [Budget(repeats) for _ in range(streams)]
    answers, wall_s = await _drive(door, request, budgets, tokens * interval_s, timeout_s)
    outcome = Outcome(wall_s=wall_s)
    for answer in answers:
        reason = _broken(answer) or judge_stream(b"".join(answer.pieces), tokens)
        if reason is None:
            outcome.done += 1
            outcome.tokens += tokens
            outcome.ttft_ms.append(answer.ttft_s * 1_000)
        else:
            outcome.failures[f"stream: {reason}"] += 1
    _count_unsent(outcome, "stream", streams * repeats - len(answers))
    return outcome


def judge_stream(body: bytes, tokens: int) -> str | None:
    """Say what is wrong with a stream that should hold so many tokens; nothing when it is right."""
    events = body.split(b"\n\n")
    if events.pop() != b"":
        return "ends within an event"
    if not events or events.pop() != b"data: [DONE]":
        return "no [DONE]"
    said = []
    for event in events:
        try:
            choices = orjson.loads(event.removeprefix(b"data: "))["choices"]
            said.append(choices[0]["delta"].get("content") or "")
        except (ValueError, KeyError, IndexError, TypeError):
            return "an event that is no chat chunk"
    if "".join(said) != words(tokens):
        return "wrong text"
    return None if sum(1 for content in said if content) == tokens else "tokens merged or split"


def _broken(answer: Answer) -> str | None:
    if answer.status not in {0, OK}:
        return f"status {answer.status}"
    if not answer.complete:
        return "broken off" if answer.status else "no answer"
    return None


def _count_unsent(outcome: Outcome, kind: str, count: int) -> None:
    if count > 0:
        outcome.failures[f"{kind}: not sent"] += count


async def _drive(
    door: Door, request: bytes, budgets: list[Budget], spread_s: float, timeout_s: float
) -> tuple[list[Answer], float]:
    """Run one connection per budget until all are spent or the time is up; return the answers and the seconds taken."""
    answers: list[Answer] = []
    gc.disable()  # walking through all the answers that are kept would show as somebody's latency
    begun = time.perf_counter()
    tasks = [
        asyncio.create_task(_connection(door, request, budget, answers, spread_s * index / len(budgets)))
        for index, budget in enumerate(budgets)
    ]
    try:
        _, late = await asyncio.wait(tasks, timeout=timeout_s)
        wall_s = time.perf_counter() - begun
    finally:
        gc.enable()
    for task in late:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return answers, wall_s


async def _connection(door: Door, request: bytes, budget: Budget, answers: list[Answer], delay_s: float) -> None:
    """Hold one connection; open it again while requests are left, each attempt at the price of one at least."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(delay_s)
    while budget.left > 0:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, client = await loop.create_connection(lambda: Client(request, budget, answers), HOST, door.port)
        except OSError:  # refused, or the timeout, which is one
            if budget.take():  # another connection may have taken the last one meanwhile
                answers.append(Answer())
            continue
        try:
            client.send()
            await client.idle
        finally:
            client.close()
