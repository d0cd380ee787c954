"""The plain way to the point that others see, for tests and benchmarks to compare with."""
