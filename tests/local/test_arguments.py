"""What is wrong with an argument of make is said in one sentence, and nothing has begun by then."""

import re
import subprocess

import pytest

from tests.support.scratch import LINKED
from tools.local.workspace import REPOSITORY

WRONG = {
    "run PORT=80": "PORT must be a whole number from 1024 to 65533; it is 80.",
    "soak MINUTES=nan": "MINUTES must be a number from 0.1 to 10000; it is nan.",
    "soak SEED=1.5": "SEED must be a whole number from 0 to 4294967295; it is 1.5.",
    "bench PART=x": "There is no part x; there are ",
    "redrive QUEUE=x": "QUEUE must be a queue's URL, an output of the stack; it is x.",
    "compatible BASE=": "git cannot show what ",
    "compatible BASE=no-such-revision": "git cannot show what ",
}


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_argument_is_said_in_one_sentence(line: str) -> None:
    installed = [word for name in LINKED for word in ("-o", f"{name}/.ready")]
    done = subprocess.run(
        ["make", "--no-print-directory", *installed, *line.split()],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    sentence, *_, make = done.stderr.splitlines()
    assert sentence.startswith(WRONG[line])
    assert re.match(r"make(\[\d+\])?: \*\*\* ", make)
    assert done.stdout == ""
