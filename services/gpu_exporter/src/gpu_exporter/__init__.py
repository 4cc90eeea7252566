"""Exports what NVML reports about the GPUs of this machine, under DCGM's metric names."""
