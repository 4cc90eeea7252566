import pytest

from launcher import program
from launcher.errors import ConfigurationError


def test_the_exit_code() -> None:
    assert program.run(lambda: None) == program.EXIT_OK


def test_a_configuration_error_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ConfigurationError("A=1 cannot be used.")

    assert program.run(fail) == program.EXIT_CONFIGURATION == 2
    assert capsys.readouterr().err == "A=1 cannot be used.\n"
