from prometheus_client.parser import text_string_to_metric_families

from launcher.exposition import Metric, Sample, render

UTIL = Metric("DCGM_FI_DEV_GPU_UTIL", "gauge", "GPU utilisation (in %).")
ENERGY = Metric("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "counter", "Energy (in mJ).")


def test_all_series_of_a_metric_stand_together() -> None:
    samples = [Sample(UTIL, 50, (("gpu", "0"),)), Sample(ENERGY, 1), Sample(UTIL, 51, (("gpu", "1"),))]

    assert render(samples) == (
        "# HELP DCGM_FI_DEV_GPU_UTIL GPU utilisation (in %).\n"
        "# TYPE DCGM_FI_DEV_GPU_UTIL gauge\n"
        'DCGM_FI_DEV_GPU_UTIL{gpu="0"} 50\n'
        'DCGM_FI_DEV_GPU_UTIL{gpu="1"} 51\n'
        "# HELP DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION Energy (in mJ).\n"
        "# TYPE DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter\n"
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION 1\n"
    )


def test_a_declared_metric_is_described_without_a_sample() -> None:
    assert render([], declared=[UTIL]).splitlines() == [f"# HELP {UTIL.name} {UTIL.help}", f"# TYPE {UTIL.name} gauge"]


def test_label_values_are_escaped() -> None:
    odd = 'a "b" \\ c\nd'
    (family,) = text_string_to_metric_families(render([Sample(UTIL, 1, (("modelName", odd),))]))

    assert family.samples[0].labels == {"modelName": odd}


def test_large_counters_lose_nothing_and_names_get_no_suffix() -> None:
    assert render([Sample(ENERGY, 2**63 + 1)]).endswith(f"\n{ENERGY.name} {2**63 + 1}\n")
