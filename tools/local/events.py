"""`make events`: list the sample events, with what each needs and what comes of it.

`make events-run` (`--run`) plays all of them on the running system, each in the state that it needs.
"""

import sys

from tools.local import aws
from tools.local.invoke import Outcome, prepare, send
from tools.local.samples import Given, Sample, samples
from tools.local.stack import Stack
from tools.local.workspace import command_line, shows_errors

# The sweep runs every minute. It also ends an overdue session, and deletes photos of earlier runs, which have the same
# keys; so such events are sent again. It does not interfere three times in a row.
_SWEPT = {Given.OVERDUE_SESSION, Given.UPLOADED_PHOTO}
_ATTEMPTS = 3


def every_sample() -> list[Sample]:
    return [sample for named in samples().values() for sample in named.values()]


def played(stack: Stack, sample: Sample) -> Outcome:
    """Send the event in the state that it needs, and again where the sweep may have changed that state meanwhile."""
    attempts = 1 if _SWEPT.isdisjoint(sample.expected.given) else _ATTEMPTS
    for _ in range(attempts):
        prepare(stack, sample.expected)
        outcome = send(stack, sample)
        if outcome.is_as(sample.expected):
            break
    return outcome


def _list() -> None:
    width = max(len(str(sample)) for sample in every_sample())
    lines = [
        f"{sample!s:{width}}  {sample.expected!s:<33}  given: {sample.expected.needs}" for sample in every_sample()
    ]
    print("\n".join(lines))


def _run(stack: Stack) -> int:
    everything = every_sample()
    failed = 0
    for sample in everything:
        outcome = played(stack, sample)
        if outcome.is_as(sample.expected):
            print(f"pass  {sample}: {sample.expected}", flush=True)
        else:
            failed += 1
            print(f"FAIL  {sample}: {outcome}, expected: {sample.expected}\n{outcome.log}", flush=True)
    print(f"{len(everything) - failed} of {len(everything)} sample events are as expected")
    return 1 if failed else 0


@shows_errors
def main() -> int:
    parser = command_line(__doc__)
    parser.add_argument("--run", action="store_true", help="play them all on the running system")
    arguments = parser.parse_args()
    if not arguments.run:
        _list()
        return 0
    aws.keep_to_this_machine()
    return _run(Stack.load(arguments.workspace))


if __name__ == "__main__":
    sys.exit(main())
