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


@pytest.fixture
def _bombs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "PROGRAM", ("-P", "-c", WORKER))
    monkeypatch.setattr(isolation, "_idle", [])


@pytest.mark.usefixtures("_bombs")
@pytest.mark.parametrize(
    "bomb",
    [
        b"signal.alarm(0); sum(range(10**15))",  # never done, in C, where no signal handler of Python's runs
        b"bytes(10**9); os._exit(7)",  # more memory than it may have, or else it would be a fault of ours
        b"ctypes.string_at(1)",  # outside its memory
        b"os.abort()",
    ],
)
def test_a_bomb_that_no_list_foresees_is_rejected_and_the_worker_outlives_it(bomb: bytes) -> None:
    with pytest.raises(Rejected) as rejected:
        process(b"bomb " + bomb)
    assert rejected.value.reason == Reason.CORRUPT
    assert len(isolation._idle) == 1
    assert process(encoded(corners())) == pipeline.process(encoded(corners()))


@pytest.mark.usefixtures("_bombs")
@pytest.mark.parametrize(
    "fault",
    [
        b"import no_such_decoder",
        b"os.kill(os.getpid(), signal.SIGKILL)",  # as a machine without memory does
        b"signal.pthread_sigmask(signal.SIG_BLOCK, [2, 15]); time.sleep(10**6)",  # as on a machine that stands still
        b"os.kill(os.getppid(), signal.SIGKILL); time.sleep(1)",
    ],
)
def test_a_fault_of_ours_is_raised_and_passes(fault: bytes) -> None:
    process(encoded(corners()))
    with pytest.raises(ChildProcessError):
        process(b"bomb " + fault)
    process(encoded(corners()))


def test_a_worker_that_cannot_be_started_is_a_fault_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "_idle", [])
    monkeypatch.setattr(isolation, "PROGRAM", ("-c", "raise SystemExit(3)"))
    with pytest.raises(OSError):
        process(encoded(corners()))


def test_it_makes_the_same_and_several_at_once_are_not_mixed_up() -> None:
    contents = [*files(corners()).values(), *(encoded(Image.new("RGB", (90, 90), (9 * i, 0, 0))) for i in range(9))]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(process, contents)) == [pipeline.process(content) for content in contents]


@pytest.mark.parametrize(("content", "reason"), [(b"", Reason.EMPTY), (bytes(10**7), Reason.UNSUPPORTED_TYPE)])
def test_a_reason_comes_back(content: bytes, reason: Reason) -> None:
    with pytest.raises(Rejected) as rejected:
        process(content)
    assert rejected.value.reason == reason
