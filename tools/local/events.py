"""All sample events: listed, or played on the running system."""

from tools.local.invoke import prepare, send
from tools.local.samples import Given, Sample, samples
from tools.local.stack import Stack
from tools.local.workspace import Workspace

# The sweep runs every minute. It also ends an overdue session, and deletes photos of earlier runs, which have the same
# keys; so such events are sent again. It does not interfere three times in a row.
_SWEPT = {Given.OVERDUE_SESSION, Given.UPLOADED_PHOTO}
_ATTEMPTS = 3


def events(workspace: Workspace, *, run: bool) -> int:
    """`make events`: list the sample events, with what each needs and what comes of it.

    `make events-run` plays all of them on the running system, each in the state that it needs.
    """
    everything = [sample for named in samples().values() for sample in named.values()]
    if not run:
        width = max(len(str(sample)) for sample in everything)
        for sample in everything:
            print(f"{sample!s:{width}}  {sample.expected!s:<33}  given: {sample.expected.needs}")
        return 0
    stack = Stack.load(workspace)
    passed = [_passes(stack, sample) for sample in everything]
    print(f"{sum(passed)} of {len(everything)} sample events are as expected")
    return 0 if all(passed) else 1


def _passes(stack: Stack, sample: Sample) -> bool:
    """Send the event in the state that it needs, and again where the sweep may have changed that state meanwhile."""
    for _ in range(1 if _SWEPT.isdisjoint(sample.expected.given) else _ATTEMPTS):
        prepare(stack, sample.expected)
        outcome = send(stack, sample)
        if outcome.is_as(sample.expected):
            print(f"pass  {sample}: {sample.expected}", flush=True)
            return True
    print(f"FAIL  {sample}: {outcome}, expected: {sample.expected}\n{outcome.log}", flush=True)
    return False
