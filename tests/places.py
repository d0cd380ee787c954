"""Places for systems that tests start."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from local.place import Place


@contextmanager
def temporary_place() -> Iterator[Place]:
    """A place that is removed afterwards.

    It is not in pytest's `tmp_path`: every further pytest that starts closes the folder above that to all other users.
    PostgreSQL, which root starts as a user of its own, then cannot open its files any more and ends with a PANIC.
    """
    with TemporaryDirectory(prefix="after-hours-") as folder:
        yield Place(Path(folder).resolve())
