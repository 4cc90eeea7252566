"""Metrics of several workers: their slots, their counter files, and the exposition that sums them up."""
