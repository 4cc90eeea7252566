"""The images: readable after any clone, on the configured base; and what vLLM finds in its container."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.stack.test_compose_files import GPU, config
from tests.support.compose.stack import ROOT, Stack, docker

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

DOCKERFILES = [*sorted(ROOT.glob("services/*/Dockerfile")), ROOT / "client" / "Dockerfile"]
PYTHON = "glasshouse-test/python:3.11"
NAME = f"glasshouse-images-{os.getpid()}"


@pytest.fixture(scope="module", autouse=True)
def _base_images() -> None:
    subprocess.run([ROOT / "tests/stack/images/make"], check=True, timeout=500)


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.parent.name)
def test_copied_files_are_readable_by_all(dockerfile: Path) -> None:
    """In octal: an older BuildKit takes `--chmod=u=rwX,go=rX` for a word that it does not know, and ignores it."""
    copies = re.findall(r"^(?:COPY|ADD) (?!--from=)(.*)$", dockerfile.read_text("utf-8"), re.MULTILINE)
    assert copies
    for copy in copies:
        mode, source = re.fullmatch(r"--chmod=(\d+) (\S+) \S+", copy).groups()  # type: ignore[union-attr]
        assert mode == ("755" if (ROOT / source).is_dir() else "644"), copy


@pytest.mark.parametrize("umask", [0o077, pytest.param(0o027, marks=pytest.mark.long)], ids=["077", "027"])
def test_an_image_of_a_clone_under_a_strict_umask_serves_its_user(tmp_path: Path, umask: int) -> None:
    clone, image = tmp_path / "clone", f"{NAME}:{umask:o}"
    for part in (".dockerignore", "config", "client", "services", "models/demo/glasshouse-demo.gguf"):
        (clone / part).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, clone / part)
    for path in (clone, *clone.rglob("*")):
        path.chmod(path.stat().st_mode & ~umask)
    try:
        docker(
            "build", "-q", "-t", image, "-f", str(clone / "services/api/Dockerfile"),
            "--build-arg", f"PYTHON_IMAGE={PYTHON}", str(clone), timeout=500,
        )  # fmt: skip
        alone = ["run", "--rm", "--network=none", "--read-only", "--user=10001:10001", image]
        assert docker(*alone, "find", "/app", "/opt/venv", "!", "-readable") == ""
        assert docker(*alone, "python", "-c", "import gateway.app; print(open('/app/gunicorn.conf.py').read(3))")
    finally:
        docker("rmi", "--force", image)


def test_the_base_images_are_those_of_env(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    for text, python, vllm in [
        ("", "python:3.11.15-slim-bookworm", "vllm/vllm-openai:v0.32.0"),
        ("PYTHON_IMAGE=\nVLLM_IMAGE=\n", "python:3.11.15-slim-bookworm", "vllm/vllm-openai:v0.32.0"),
        ("PYTHON_IMAGE=mirror/python:3.12\nVLLM_IMAGE=vllm/vllm-openai:v0.32.0-cu129\n", "mirror/python:3.12",
         "vllm/vllm-openai:v0.32.0-cu129"),
    ]:  # fmt: skip
        env.write_text(text)
        built = {
            name: service["build"].get("args", {})
            for name, service in config(GPU, env, profiles="llamacpp")["services"].items()
            if "build" in service
        }
        assert built.pop("vllm") == {"VLLM_IMAGE": vllm}
        assert built.pop("nginx-exporter") == {}
        assert built.keys() >= {"init", "api", "llamacpp", "gpu-exporter"}
        assert all(args == {"PYTHON_IMAGE": python} for args in built.values()), built


def test_composes_base_images_are_the_dockerfiles_own() -> None:
    """Who builds one by hand gets the same."""
    services = config(GPU, profiles="llamacpp")["services"]
    for build in [service["build"] for service in services.values() if "build" in service]:
        for name, image in build.get("args", {"NGINX_IMAGE": services["nginx"]["image"]}).items():
            assert f"ARG {name}={image}\n" in (ROOT / build["dockerfile"]).read_text("utf-8")


IN_THE_CONTAINER = """
import ctypes, getpass, os, pathlib, shutil
assert getpass.getuser() == "vllm"
home = pathlib.Path.home()
(home / ".config").mkdir(exist_ok=True)
for name in ("HF_HOME", "VLLM_CACHE_ROOT", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR"):
    kept = pathlib.Path(os.environ[name])
    kept.mkdir(exist_ok=True)
    assert os.stat(kept).st_dev == os.stat("/data").st_dev, name
library = next(pathlib.Path("/usr/lib").glob("*/libz.so.1"))
ctypes.CDLL(shutil.copy(library, "/tmp/kernel.so"))
assert os.statvfs("/tmp").f_blocks * os.statvfs("/tmp").f_frsize == 2 << 30
assert os.statvfs("/dev/shm").f_blocks * os.statvfs("/dev/shm").f_frsize == 2 << 30
try:
    open("/somewhere", "w")
except OSError as error:
    print(error.strerror, os.getuid())
import wave
print(wave.__cached__, os.path.exists(wave.__cached__))
"""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """The service `vllm` with nothing but Python in it, on a machine without a GPU."""
    override = tmp_path / "compose.yaml"
    bare = {"image": PYTHON, "deploy": None, "networks": None, "healthcheck": {"disable": True}, "init": True}
    text = yaml.safe_dump({"services": {"vllm": {**bare, "env_file": None}}})
    override.write_text(
        text.replace("deploy: null", "deploy: !reset null").replace("env_file: null", "env_file: !reset []")
    )
    stack = Stack(f"{NAME}-vllm", tmp_path, 0, 0, ("compose.yaml", str(override)))
    yield stack
    stack.down()


def test_vllms_container_has_a_home_a_user_name_persistent_caches_and_loadable_kernels(stack: Stack) -> None:
    run = ("run", "--rm", "--no-deps", "--no-TTY")
    stack.settings = {"GLASSHOUSE_UID": "54321", "GLASSHOUSE_GID": "54321"}  # a user that no image knows
    stack.compose(*run, "--user=0:0", "--cap-add=CHOWN", "vllm", "chown", "54321:54321", "/data")  # as init does
    for _ in range(2):
        refused, cached = stack.compose(*run, "vllm", "python", "-c", IN_THE_CONTAINER).splitlines()
        assert refused == "Read-only file system 54321"
        assert re.fullmatch(r"/data/pycache/.*/wave\.\S+\.pyc True", cached)
