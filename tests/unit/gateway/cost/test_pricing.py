"""Pricing: the prices file that ships, errors about a wrong one, and tariffs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from gateway.cost import PricesFileError, read_meters
from gateway.cost.pricing import Tariff, Weights, read_prices

SHIPPED = Path(__file__).resolve().parents[4] / "config" / "prices.yaml"
GOOD = """
prices:
  l4: {usd_per_hour: 0.5}
  free: {usd_per_hour: 0}
output_equivalents: {input: 0.25, cached_input: 0}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "prices.yaml"
    path.write_text(GOOD, encoding="utf-8")
    return path


def refusal(path: Path, *prices: tuple[str, str]) -> str:
    with pytest.raises(PricesFileError) as caught:
        read_meters(prices or [("vllm", "l4")], path, workers=1)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def test_the_shipped_file_has_l4_and_t4_on_demand_and_spot() -> None:
    prices = read_prices(SHIPPED).usd_per_hour
    for name in ("l4", "t4", "l4-seoul", "t4-seoul"):
        assert 0 < prices[f"{name}-spot"] < prices[name]
    weights = read_prices(SHIPPED).weights
    assert 0 < weights.cached_input < weights.input < 1


def test_each_shipped_price_is_the_sum_in_its_comment() -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    sums = re.findall(r"^  ([a-z0-9-]+): #.*: ([0-9.]+) \+ ([0-9.]+)\n    usd_per_hour: ([0-9.]+)$", text, re.MULTILINE)
    assert [name for name, *_ in sums] == list(yaml.safe_load(text)["prices"])
    for name, machine, gpu, price in sums:
        assert float(machine) + float(gpu) == pytest.approx(float(price), abs=1e-9), name


@pytest.mark.parametrize(
    ("price", "usd"), [("l4", 0.5), ("free", 0.0), ("0.65", 0.65), ("2", 2.0), ("0", 0.0), ("10000", 10_000.0)]
)
def test_a_price_is_a_name_or_dollars(file: Path, price: str, usd: float) -> None:
    (account,) = read_meters([("vllm", price)], file, workers=4)
    assert (account.engine, account.tariff.usd_per_hour, account.tariff.workers) == ("vllm", usd, 4)
    assert account.tariff.weights == (0.25, 0.0)


def test_without_prices_the_file_is_not_read(tmp_path: Path) -> None:
    assert read_meters([], tmp_path / "missing", workers=1) == []


@pytest.mark.parametrize("price", ["a100", "L4", "-1", "1e3", "10001", "nan", "inf", "0,5", "$1", "1 2"])
def test_an_unknown_price_is_refused_with_a_list_of_known_ones(file: Path, price: str) -> None:
    message = refusal(file, ("vllm", price))
    assert f"vllm={price!r}" in message
    assert str(file) in message
    assert "l4, free" in message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.5", "cheap", "prices.l4.usd_per_hour = 'cheap'"),
        ("0.5", "-1", "prices.l4.usd_per_hour = -1 .*greater than or equal to 0"),
        ("0.5", "20000", "prices.l4.usd_per_hour = 20000 .*less than or equal to 10000"),
        ("0.5", ".nan", "prices.l4.usd_per_hour = nan"),
        ("0.5", "true", "prices.l4.usd_per_hour = True"),
        ("usd_per_hour: 0.5", "eur_per_hour: 0.5", "prices.l4"),
        ("  l4:", "  L 4:", "prices.L 4"),
        ("input: 0.25, ", "", "output_equivalents.input"),
        ("input: 0.25", "input: -1", "output_equivalents.input = -1"),
        ("prices:", "costs:", "prices"),
        (GOOD, "", "the whole file"),
        (GOOD, "- 1", "the whole file"),
        (GOOD, "a: [", "not valid YAML.*line"),
        (GOOD, "a: 2026-99-99", "not valid YAML"),
    ],
)
def test_a_wrong_file_is_refused_with_field_value_and_reason(file: Path, old: str, new: str, message: str) -> None:
    file.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    assert re.search(message, refusal(file))
    assert str(file) in refusal(file)


def test_a_missing_or_unreadable_file_is_refused(tmp_path: Path) -> None:
    assert "does not exist: set PRICES_FILE" in refusal(tmp_path / "missing.yaml")
    assert "cannot be read" in refusal(tmp_path)
    (tmp_path / "latin").write_bytes(b"\xff\xfe\xfd")
    assert "cannot be read" in refusal(tmp_path / "latin")


def test_workers_share_the_price_evenly() -> None:
    assert Tariff(7200.0, 4, Weights(input=0.5, cached_input=0.1)).usd_per_second == 0.5
