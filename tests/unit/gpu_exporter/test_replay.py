from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gpu_exporter.replay import Replay
from launcher.errors import ConfigurationError

RECORDED = """\
# HELP gpu_up 1 when all is well.
# TYPE gpu_up gauge
gpu_up 1
# HELP gpu_exporter_replay 1 when all this is a recording that is played back, else 0.
# TYPE gpu_exporter_replay gauge
gpu_exporter_replay 0
# HELP DCGM_FI_DEV_GPU_UTIL Utilisation.
# TYPE DCGM_FI_DEV_GPU_UTIL gauge
DCGM_FI_DEV_GPU_UTIL{gpu="0",modelName="a \\"GPU\\" \\\\ {b}, c"} 87
DCGM_FI_DEV_GPU_UTIL{gpu="1",} NaN
DCGM_FI_DEV_FB_USED{} +Inf
"""


def replay(directory: Path, text: str) -> Replay:
    file = directory / "recorded.metrics"
    file.write_text(text, encoding="utf-8")
    return Replay.read(file)


def test_every_series_says_that_it_is_recorded(tmp_path: Path) -> None:
    page = replay(tmp_path, RECORDED).text
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    assert {sample.labels["replay"] for sample in samples} == {"true"}
    assert [(sample.name, sample.value) for sample in samples[:3]] == [
        ("gpu_exporter_replay", 1),
        ("gpu_up", 1),
        ("DCGM_FI_DEV_GPU_UTIL", 87),
    ]
    assert samples[2].labels["modelName"] == 'a "GPU" \\ {b}, c'
    assert len(samples) == 5


def test_the_recording_of_a_replay_is_played_as_it_is(tmp_path: Path) -> None:
    page = replay(tmp_path, RECORDED).text
    assert replay(tmp_path, page).text == page


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it holds no DCGM_FI_ series"),
        ("node_load1 0.5\n", "it holds no DCGM_FI_ series"),
        (RECORDED + "<html>\n", "line 12 is no metric"),
        (RECORDED + 'DCGM_FI_DEV_SM_CLOCK{gpu="0"} fast\n', "could not convert string to float: 'fast'"),
        (RECORDED + 'DCGM_FI_DEV_SM_CLOCK{gpu="0} 5\n', "line 12 is no metric"),
        (RECORDED + "gpu_up 1 1700000000000\n", "line 12 is no metric"),
        (RECORDED + "gpu_up 0\n", "line 12 repeats a series"),
    ],
)
def test_a_bad_file_is_one_sentence(text: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        replay(tmp_path, text)
    assert str(caught.value) == (
        f"GPU_EXPORTER_REPLAY={tmp_path}/recorded.metrics cannot be played back ({reason}); "
        "it must be a file with what a GPU exporter once answered at /metrics."
    )


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be played back \(No such file or directory\); it must be"):
        Replay.read(tmp_path / "none")
