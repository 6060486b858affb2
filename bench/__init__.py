"""Benchmarks: rivals interleaved in one run, answers as ratios, because machines are noisy."""
