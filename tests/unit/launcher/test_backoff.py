from launcher.backoff import Backoff


def test_it_doubles_from_a_second_to_five_minutes() -> None:
    backoff = Backoff()

    assert [backoff.next_delay() for _ in range(11)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_after_a_success_it_is_short_again() -> None:
    backoff = Backoff()
    backoff.next_delay()
    backoff.next_delay()
    backoff.reset()

    assert backoff.next_delay() == 1
