"""What NVML says of the GPUs of this machine, as metrics under DCGM's names."""
