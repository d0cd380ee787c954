"""Pictures for tests and benchmarks: made in code, the same on every run; and stored files.

A few stored files are of real programs. The others were made byte by byte, by tools/pictures/heic.py and hostile.py and
tests/unit/test_images_outcomes.py of revision 046b389. Those in `hostile` lie in a folder that is called after their
outcome, and are compressed: some have nine megabytes of nothing.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
