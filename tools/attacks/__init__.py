"""Attacks on the point that others see, for tests and benchmarks; and the plain way to compute that point."""
