"""Pricing: the prices file, the prices that ENGINE_PRICES selects, and what a second of an engine costs."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.yaml_file import read_yaml

_MAX_USD_PER_HOUR = 10_000.0
_MAX_WEIGHT = 100.0
_MAX_ECHO = 40
_SECONDS_PER_HOUR = 3600.0

_Usd = Annotated[float, Field(ge=0, le=_MAX_USD_PER_HOUR, strict=True)]
_Weight = Annotated[float, Field(ge=0, le=_MAX_WEIGHT, strict=True)]
_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]


class PricesFileError(Exception):
    """The prices file, or a price selected from it, is wrong; the message is one sentence that says how to fix it."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Price(_Section):
    usd_per_hour: _Usd


class _Equivalents(_Section):
    input: _Weight
    cached_input: _Weight


class _File(_Section):
    prices: dict[_Name, _Price]
    output_equivalents: _Equivalents


class Weights(NamedTuple):
    """How many output tokens an input token counts as: a policy, not a measurement. Both are zero or more."""

    input: float
    cached_input: float


class Tariff(NamedTuple):
    """The price of one engine.

    Attributes:
        usd_per_hour: US dollars per hour for the whole engine, over all workers.
        workers: How many workers share it evenly.
        weights: How it is shared out over tokens.
    """

    usd_per_hour: float
    workers: int
    weights: Weights

    @property
    def usd_per_second(self) -> float:
        """US dollars that one second of this worker's share costs."""
        return self.usd_per_hour / _SECONDS_PER_HOUR / self.workers


class PriceList(NamedTuple):
    """The content of a prices file: US dollars per hour by name, and the weights of tokens."""

    path: Path
    usd_per_hour: Mapping[str, float]
    weights: Weights

    def tariff(self, engine: str, price: str, *, workers: int) -> Tariff:
        """The tariff of one engine.

        Args:
            engine: Its name, for the message.
            price: A name from the file, or US dollars per hour.
            workers: How many workers share it.

        Raises:
            PricesFileError: It is neither.
        """
        usd = self.usd_per_hour.get(price, _parse_usd(price))
        if usd is None:
            raise PricesFileError(
                f"ENGINE_PRICES: {engine}={price!r} is not allowed: {str(self.path)!r} has no such price. Use one of: "
                f"{', '.join(self.usd_per_hour) or 'none'}; or US dollars per hour, such as {engine}=0.65."
            )
        return Tariff(usd, workers, self.weights)


def _parse_usd(text: str) -> float | None:
    """A number of US dollars, at most `_MAX_USD_PER_HOUR`; None for anything else."""
    usd = float(text) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,9})?", text) else None
    return usd if usd is None or usd <= _MAX_USD_PER_HOUR else None


def read_prices(path: Path) -> PriceList:
    """Reads a prices file.

    Raises:
        PricesFileError: The file is missing, is not YAML, or a field is wrong.
    """
    content = read_yaml(path, "prices file", "set PRICES_FILE, or leave ENGINE_PRICES empty", PricesFileError)
    try:
        file = _File.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the whole file"
        value = repr(first["input"])
        echo = f" = {value}" if len(value) <= _MAX_ECHO else ""
        raise PricesFileError(
            f"The prices file {str(path)!r}: {field}{echo} is not allowed: {first['msg']}."
        ) from error
    prices = {name: price.usd_per_hour for name, price in file.prices.items()}
    return PriceList(path, prices, Weights(**file.output_equivalents.model_dump()))
