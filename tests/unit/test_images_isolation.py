"""Decoding in a process of its own: what its end means, whatever the decoder does."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from after_hours.images import isolation, pipeline
from after_hours.images.isolation import process
from after_hours.images.rejection import Reason, Rejected
from PIL import Image

from tests.support.images import files
from tools.pictures.files import corners, encoded

# The worker with decoders that do what a file says, as the faults of real ones could be made to do; and small limits.
WORKER = """
import ctypes, os, signal, sys, time
from after_hours.images import pipeline, worker
worker.PROCESSOR_SECONDS, worker.SECONDS, worker.MEMORY = 1, 3, 300_000_000
def decode(data):
    exec(data.removeprefix(b"bomb "))
pipeline._DECODERS = ((0, b"bomb ", decode), *pipeline._DECODERS)
worker.main()
"""


FINE = encoded(corners())
# Files, and what becomes of them: a reason, or a fault of ours, which passes.
OUTCOMES: dict[bytes, Reason | type[Exception]] = {
    b"": Reason.EMPTY,
    bytes(10**7): Reason.UNSUPPORTED_TYPE,
    # Never done, in C, where no signal handler of Python's runs.
    b"bomb signal.alarm(0); sum(range(10**15))": Reason.CORRUPT,
    # More memory than it may have, or else it would be a fault of ours.
    b"bomb bytes(10**9); os._exit(7)": Reason.CORRUPT,
    # Outside its memory.
    b"bomb ctypes.string_at(1)": Reason.CORRUPT,
    b"bomb os.abort()": Reason.CORRUPT,
    b"bomb import no_such_decoder": ChildProcessError,
    # As a machine without memory does.
    b"bomb os.kill(os.getpid(), signal.SIGKILL)": ChildProcessError,
    # As on a machine that stands still.
    b"bomb signal.pthread_sigmask(signal.SIG_BLOCK, [2, 15]); time.sleep(10**6)": ChildProcessError,
    # The worker itself.
    b"bomb os.kill(os.getppid(), signal.SIGKILL); time.sleep(1)": ChildProcessError,
}


@pytest.mark.parametrize("file", OUTCOMES, ids=lambda file: file[:40].decode().strip("\0"))
def test_what_no_list_foresees_has_its_outcome_and_the_next_photo_is_made(
    monkeypatch: pytest.MonkeyPatch, file: bytes
) -> None:
    monkeypatch.setattr(isolation, "PROGRAM", ("-P", "-c", WORKER))
    monkeypatch.setattr(isolation, "_idle", [])
    process(FINE)
    outcome = OUTCOMES[file]
    if isinstance(outcome, Reason):
        with pytest.raises(Rejected, match=f"^{outcome}$"):
            process(file)
        assert len(isolation._idle) == 1, "the worker outlives it"
    else:
        with pytest.raises(outcome):
            process(file)
    assert process(FINE) == pipeline.process(FINE)


def test_a_worker_that_cannot_be_started_is_a_fault_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "_idle", [])
    monkeypatch.setattr(isolation, "PROGRAM", ("-c", "raise SystemExit(3)"))
    with pytest.raises(OSError):
        process(FINE)


def test_several_at_once_are_not_mixed_up() -> None:
    contents = [*files(corners()).values(), *(encoded(Image.new("RGB", (90, 90), (9 * i, 0, 0))) for i in range(9))]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(process, contents)) == [pipeline.process(content) for content in contents]
