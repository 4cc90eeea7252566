"""The GPU: whether it works, Docker reaches it, and its driver fits the image of vLLM.

vLLM's plain image tags are built for CUDA 13 since 0.20, with `-cu129` beside them (its docker/Dockerfile has
`CUDA_VERSION=13.0.3`; github.com/NVIDIA/Model-Optimizer/pull/2042 tells of the change of tags). R580 is the oldest
branch that NVIDIA lists as running CUDA 13 without a compatibility package
(docs.nvidia.com/datacenter/tesla/drivers/620/supported-drivers-and-cuda-toolkit-versions.html). Such a package, which
an image may bring along, lets data-centre GPUs do with an older driver, and no others
(docs.nvidia.com/deploy/cuda-compatibility/forward-compatibility.html): so an older driver is a warning, not a refusal.
Images for CUDA 12.9 run on older drivers too, but may carry a condition of their own, `cuda>=12.9`, by which NVIDIA's
runtime refuses some (github.com/janhq/server/issues/262).
"""

import re
from collections.abc import Iterator

from glasshouse.doctor.finding import Finding, Target

_DEFAULT_IMAGE = "vllm/vllm-openai:v0.32.0"
_CUDA_13_DRIVER = 580
_CUDA_12_DRIVER = 525  # CUDA's release notes: from 12.0 on, by compatibility between minor versions
_TAG = re.compile(r"vllm/vllm-openai:v0\.(\d+)\.\d+(?:\.post\d+)?(-cu\d+)?")
_FIRST_FOR_CUDA_13 = 20  # of vLLM's minor versions
_CUDA_13 = 13
_DATA_CENTRE = re.compile(r"Tesla|\b(T4G?|L4|L40S?|A2|A10G?|A16|A30|A40|A100|H100|H200|H20|B200|B300|GH200|GB200)\b")


def gpu(target: Target) -> Iterator[Finding]:
    """Whether there is a GPU that Docker can use."""
    machine = target.machine
    if machine.gpu_trouble:
        yield Finding("failure", "GPU", machine.gpu_trouble)
    elif machine.docker_trouble:
        yield Finding("not checked", "GPU", f"{machine.gpu} works; Docker does not say whether it reaches it")
    else:
        yield Finding("ok", "GPU", f"{machine.gpu}, and Docker reaches it")


def driver(target: Target) -> Iterator[Finding]:
    """Whether the driver is new enough for the CUDA of vLLM's image."""
    succeeded, output = target.system.ask("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    name, _, version = (output.splitlines() or [""])[0].rpartition(",")
    match = re.match(r"\s*(\d+)\.\d", version)
    if not succeeded or match is None:
        yield Finding("not checked", "driver", "nvidia-smi does not report its version")
        return
    image = target.setting("VLLM_IMAGE", _DEFAULT_IMAGE)
    cuda = _cuda(image)
    if cuda is None:
        yield Finding(
            "not checked", "driver", f"{version.strip()}; the name {image} does not tell which CUDA it is built for"
        )
        return
    floor = _CUDA_13_DRIVER if cuda >= _CUDA_13 else _CUDA_12_DRIVER
    if int(match[1]) >= _CUDA_13_DRIVER:
        yield Finding("ok", "driver", f"{version.strip()}, and {image} needs {floor} or newer")
        return
    if int(match[1]) >= floor:
        text = f"{version.strip()} runs CUDA {cuda}; the start shows whether {image} has a condition of its own"
        yield Finding("not checked", "driver", text)
        return
    outlook = (
        "a compatibility package in the image may be enough for this GPU"
        if _DATA_CENTRE.search(name)
        else "compatibility packages are for data-centre GPUs, so vLLM will probably not start on this one"
    )
    older = f"{re.sub(r'-cu[0-9]+$', '', image)}-cu129"
    yield Finding(
        "warning",
        "driver",
        f"{version.strip()} is older than the {floor} that CUDA {cuda}, for which {image} is built, needs; {outlook}",
        "upgrade the driver" + (f", or take vLLM's build for CUDA 12.9: VLLM_IMAGE={older}" if older != image else ""),
    )


def _cuda(image: str) -> int | None:
    """The major version of CUDA that an image of vLLM's own is built for, by its tag."""
    match = _TAG.fullmatch(image.removeprefix("docker.io/"))
    if match is None:
        return None
    if match[2]:
        return int(match[2][3:5])
    return _CUDA_13 if int(match[1]) >= _FIRST_FOR_CUDA_13 else _CUDA_13 - 1
