from launcher.pause import GrowingPause


def test_it_doubles_from_a_second_to_five_minutes() -> None:
    pause = GrowingPause()

    assert [pause.take() for _ in range(11)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_after_a_success_it_is_short_again() -> None:
    pause = GrowingPause()
    pause.take()
    pause.take()
    pause.reset()

    assert pause.take() == 1
