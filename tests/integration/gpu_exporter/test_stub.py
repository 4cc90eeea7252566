"""The stub against NVIDIA's own binding: the functions that the exporter calls, and the sizes of what they fill in."""

import ctypes
import inspect
import re
from pathlib import Path

import pynvml  # type: ignore[import-untyped]  # nvidia-ml-py ships no stubs
import pytest

import gpu_exporter

SOURCES = Path(gpu_exporter.__file__).parent
_POINTER = re.compile(r'_nvmlGetFunctionPointer\("(\w+)"\)')
_CALLED = re.compile(r"pynvml\.(nvml[A-Z]\w+)\b")
_ALIAS = re.compile(r"(?:return )?(nvml\w+)\(")
# In bytes, on 64 bits: what the structures in stub/*.c have too.
SIZES = {
    "c_nvmlMemory_v2_t": 40,
    "c_nvmlFieldValue_t": 40,
    "c_nvmlViolationTime_t": 16,
    "nvmlPciInfo_t": 68,
    "c_nvmlProcessInfo_v3_t": 24,
    "c_nvmlEventData_t": 32,
}


def called() -> set[str]:
    """The functions of the binding that the exporter names."""
    names = {name for file in SOURCES.glob("*.py") for name in _CALLED.findall(file.read_text(encoding="utf-8"))}
    return {name for name in names if inspect.isfunction(getattr(pynvml, name, None))}


def symbols(name: str) -> set[str]:
    """Those of the library that a function of the binding asks for."""
    source = inspect.getsource(inspect.unwrap(getattr(pynvml, name)))
    found = set(_POINTER.findall(source))
    if not found:  # it only passes on to another version of itself
        for other in _ALIAS.findall(source.partition(":\n")[2]):
            found |= symbols(other)
    return found


def test_the_binding_has_what_the_exporter_uses() -> None:
    named = {name for file in SOURCES.glob("*.py") for name in _CALLED.findall(file.read_text(encoding="utf-8"))}
    assert [name for name in named if not hasattr(pynvml, name)] == []
    assert len(called()) > 30


@pytest.mark.parametrize("name", sorted(called()))
def test_the_stub_has_each_function_under_the_bindings_symbol(name: str, library: Path) -> None:
    stub = ctypes.CDLL(str(library / "libnvidia-ml.so.1"))
    wanted = symbols(name)
    assert wanted
    # A memory call without a version would ask for the older symbol, which the exporter never does.
    for symbol in wanted - {"nvmlDeviceGetMemoryInfo"}:
        assert hasattr(stub, symbol), symbol


def test_the_structures_have_the_sizes_that_the_stub_was_written_for() -> None:
    assert {name: ctypes.sizeof(getattr(pynvml, name)) for name in SIZES} == SIZES
    assert pynvml.nvmlMemory_v2 == SIZES["c_nvmlMemory_v2_t"] | 2 << 24
