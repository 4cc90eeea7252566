import pynvml  # type: ignore[import-untyped]  # nvidia-ml-py ships no stubs
import pytest

from gpu_exporter.collector import CallCollector, Field
from gpu_exporter.errors import SeriesFailure
from gpu_exporter.nvml import Handle
from launcher.exposition import Metric

USED = Metric("used", "gauge", "Used (in %).")
FREE = Metric("free", "gauge", "Free (in %).")


def percent(handle: Handle) -> int:
    return int(handle)


def unsupported(handle: Handle) -> int:
    del handle
    raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


def test_one_call_gives_all_fields() -> None:
    collector = CallCollector(percent, Field(USED, float), Field(FREE, lambda used: 100 - used, (("kind", "a"),)))
    samples = collector.read([30, 99])
    assert [(sample.metric, sample.value, sample.labels) for sample in samples] == [
        (USED, 30, ()),
        (FREE, 70, (("kind", "a"),)),
    ]


def test_as_text_it_is_the_names_of_its_metrics() -> None:
    assert str(CallCollector(percent, Field(USED, float), Field(USED, float), Field(FREE, float))) == "used, free"


def test_a_call_that_is_not_supported_drops_the_series() -> None:
    with pytest.raises(SeriesFailure):
        CallCollector(unsupported, Field(USED, float)).read([0])
