import pytest

from llamacpp_server.log_parser import LogParser

LISTENING = "0.00.309.570 I srv          init: listening on http://127.0.0.1:18110"


def test_the_phases_of_a_start() -> None:
    log = LogParser()
    lines = [
        "0.00.000.508 I srv          init: initializing ...",
        "0.00.009.048 I srv    load_model: loading model 'tiny/long.gguf'",
        "0.00.306.941 I srv    load_model: initializing, n_slots = 4, n_ctx_slot = 100096, kv_unified = 'false'",
        LISTENING,
    ]

    assert [log.feed(line) for line in lines] == [
        (lines[0], None),
        (lines[1], "loading_weights"),
        (lines[2], "warming_up"),
        (lines[3], "probing"),
    ]
    assert log.reason == ""


def test_the_reason_of_a_failed_start_is_the_line_that_says_most() -> None:
    log = LogParser()
    for line in (
        "0.00.009.179 E llama_model_load: error loading model: tensor 'blk.1' data is not within the file bounds",
        "0.00.010.727 E cmn  common_init_: failed to load model 'trunc.gguf'",
        "0.00.014.648 E srv          init: exiting due to model loading error",
    ):
        log.feed(line)

    assert log.reason == "error loading model: tensor 'blk.1' data is not within the file bounds"


@pytest.mark.parametrize(
    "line",
    [
        "0.20.381.151 I slot print_timing: id  3 | task 2 | prompt eval time =      67.22 ms /    29 tokens",
        "0.20.384.009 I slot      release: id  3 | task 2 | stop processing: n_tokens = 32, truncated = 0",
        "0.20.400.731 I slot get_availabl: id  3 | task -1 | selected slot by LCP similarity, f_sim_best = 1.000",
        "0.03.008.258 W srv    operator(): unauthorized: Invalid API Key",
        "0.22.843.220 E srv    send_error: task id = 1, error: request (9 tokens) exceeds the available context size",
    ],
)
def test_numbers_about_requests_are_printed(line: str) -> None:
    log = LogParser()
    log.feed(LISTENING)

    assert log.feed(line) == (line, None)


@pytest.mark.parametrize(
    ("line", "printed"),
    [
        (
            '0.29.324.299 W srv    operator(): got exception: {"error":{"message":"last read: \'CANARY\'"}}',
            "0.29.324.299 W srv    operator(): (text withheld: it may quote a request)",
        ),
        ("0.29.324.299 I srv    some_place: prompt: CANARY", None),
        ("CANARY: a line that follows another", None),
        (
            "0.29.324.299 W init: the prompt CANARY: is long",
            "0.29.324.299 W init: (text withheld: it may quote a request)",
        ),
        ("0.29.324.299 W the CANARY: is long", None),
        (
            "0.29.324.299 E srv    CANARY without a colon after the place",
            None,
        ),
    ],
)
def test_lines_that_may_quote_a_request_are_not_printed(line: str, printed: str | None) -> None:
    log = LogParser()
    log.feed(LISTENING)

    assert log.feed(line) == (printed, None)


def test_a_missing_library_is_named_with_its_package() -> None:
    log = LogParser()
    log.feed("ImportError: libgomp.so.1: cannot open shared object file: No such file or directory")
    assert log.reason == "libgomp.so.1 is not on this machine (on Debian: apt-get install -y libgomp1)"
