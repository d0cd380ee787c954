"""Pictures for tests and benchmarks: made in code, the same on every run; and some files as programs write them."""

from pathlib import Path

FOLDER = Path(__file__).parent
