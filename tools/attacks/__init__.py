"""Attacks on the point that others see, for tests and benchmarks; and the plain way to that point, to compare with."""
