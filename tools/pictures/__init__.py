"""Pictures for tests and benchmarks: made in code, the same on every run; and some files of real programs."""

from pathlib import Path

FOLDER = Path(__file__).parent
