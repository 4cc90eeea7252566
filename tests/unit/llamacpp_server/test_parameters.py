from llamacpp_server.parameters import Parameters

PARAMETERS = Parameters(
    model="a.gguf",
    alias="a",
    host="127.0.0.1",
    port=8002,
    ctx=16384,
    parallel=4,
    threads=2,
    embeddings=True,
    embedding_tokens=512,
    gpu_layers=-1,
    lora=("b.gguf",),
    keys=("sekret", "another"),
)


def test_parameters_survive_the_pipe() -> None:
    line = PARAMETERS.dump()

    assert line.endswith(b"}\n")
    assert Parameters.load(line) == PARAMETERS


def test_the_key_is_not_shown() -> None:
    assert "sekret" not in repr(PARAMETERS)
