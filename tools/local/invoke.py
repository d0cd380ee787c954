"""Send sample events to the deployed functions, or one of them to its handler in this process.

The samples have a member of their own. Before an event is sent, that member is put into the state that it needs.
An editor's debugger can run `python -m tools.local invoke --here start_session` itself.
"""

import base64
import json
import os
import sys
from contextlib import closing
from dataclasses import replace
from typing import Any, NamedTuple
from uuid import uuid4

import boto3

from tools.local import aws, members, states
from tools.local.handlers import Context, load
from tools.local.samples import Expected, Given, Sample, samples
from tools.local.stack import Stack
from tools.local.workspace import REPOSITORY, CommandError, Workspace

# The sweep runs every minute. It also ends an overdue session, and deletes photos of earlier runs, which have the same
# keys; so such events are sent again. It does not interfere three times in a row.
_SWEPT = {Given.OVERDUE_SESSION, Given.UPLOADED_PHOTO}
_ATTEMPTS = 3


class Outcome(NamedTuple):
    """What came of one event, in the words of its expectation, and whether that was expected."""

    said: str
    body: Any  # of an endpoint's answer, or the result of a job
    log: str
    as_expected: bool

    def print_after(self, sample: Sample) -> None:
        print(f"Sent:     {sample} as {members.SAMPLE.id}, given: {sample.expected.needs}")
        print(f"Expected: {sample.expected}\nOutcome:  {self.said}")
        print(json.dumps(self.body, indent=2, ensure_ascii=False))
        if self.log:
            print(f"\nLog:\n{self.log}")

    def print_json(self, sample: Sample) -> None:
        print(json.dumps({"event": str(sample), "expected": str(sample.expected), **self._asdict()}, indent=2))


def _outcome(expected: Expected, result: dict[str, Any], log: str = "", *, failed: bool) -> Outcome:
    """Compare what a function returned, or the error that it failed with."""
    if failed:
        said = f"fails with {result.get('errorType')}: {result.get('errorMessage')}"
        return Outcome(said, result, log, expected.raises is not None and expected.raises in said + log)
    if "statusCode" in result:
        body = json.loads(result["body"]) if result.get("body") else {}
        said = f"{result['statusCode']} {body.get('code', '')}".rstrip()
        return Outcome(said, body, log, said == str(expected))
    returns = expected.returns
    is_one = returns is not None and returns.items() <= result.items()
    return Outcome(f"returns {json.dumps(result)}", result, log, is_one)


def _prepare(stack: Stack, expected: Expected) -> None:
    """Make the samples' member anew, in the state that an event needs."""
    member = replace(members.SEEDED[expected.member], id=members.SAMPLE.id, name=members.SAMPLE.name)
    with closing(stack.connect()) as connection:
        members.remove(connection, member)
        members.save(connection, member)
        with connection, connection.cursor() as cursor:
            states.prepare(
                expected.given,
                member.id,
                rows=lambda statement, user_id: cursor.execute(statement, (user_id,)),
                s3=boto3.client("s3", **stack.aws),
                bucket=stack.upload_bucket,
            )


def _send(stack: Stack, sample: Sample) -> Outcome:
    """Invoke the deployed function with the event, whatever the state is."""
    answer = boto3.client("lambda", **stack.aws).invoke(
        FunctionName=stack.functions[sample.function],
        Payload=sample.text(stack.token(members.SAMPLE.id)).encode(),
        LogType="Tail",
    )
    log = base64.b64decode(answer.get("LogResult", "")).decode(errors="replace").strip()
    return _outcome(sample.expected, json.load(answer["Payload"]), log, failed="FunctionError" in answer)


def _run_here(stack: Stack, sample: Sample) -> Outcome:
    """Run the handler in this process, in the environment of the deployed function."""
    functions = boto3.client("lambda", **stack.aws)
    deployed = functions.get_function_configuration(FunctionName=stack.functions[sample.function])
    os.environ.update(deployed["Environment"]["Variables"] | aws.settings(stack.aws_endpoint_url))
    context = Context(deployed["FunctionName"], deployed["MemorySize"], deployed["FunctionArn"], str(uuid4()))
    sys.path.insert(0, str(REPOSITORY / "layers" / "after_hours" / "python"))  # the package, where the layer has it
    handler = load(sample.function).handler
    try:
        result = handler(sample.event(stack.token(members.SAMPLE.id)), context)
    except Exception as error:  # noqa: BLE001 (every exception is an outcome)
        sys.excepthook(type(error), error, error.__traceback__)
        described = {"errorType": type(error).__name__, "errorMessage": str(error)}
        return _outcome(sample.expected, described, failed=True)
    return _outcome(sample.expected, json.loads(json.dumps(result)), failed=False)


def invoke(workspace: Workspace, function: str, event: str, *, json: bool, here: bool) -> int:
    """`make invoke FUNCTION=start_session [EVENT=valid] [JSON=1]`: send one sample event to a deployed function.

    `make debug` (`--here`) runs the handler of the working tree in this process, so that a `breakpoint()` in it stops.
    """
    stack = Stack.load(workspace)
    named = {str(each): each for each in _everything()}
    if f"{function}/{event}" not in named:
        raise CommandError(f"There is no sample event {function}/{event}. There are: {', '.join(named)}")
    if function not in stack.functions:
        raise CommandError(f"{function} is new here, and deployed at the next start (make stop, then make run).")
    chosen = named[f"{function}/{event}"]
    _prepare(stack, chosen.expected)
    outcome = (_run_here if here else _send)(stack, chosen)
    (outcome.print_json if json else outcome.print_after)(chosen)
    return 0 if outcome.as_expected else 1


def events(workspace: Workspace, *, run: bool) -> int:
    """`make events`: list the sample events, with what each needs and what comes of it.

    `make events-run` plays all of them on the running system, each in the state that it needs.
    """
    if not run:
        for sample in _everything():
            print(f"{sample!s:<45} {sample.expected!s:<33} given: {sample.expected.needs}")
        return 0
    stack = Stack.load(workspace)
    played = [_passes(stack, sample) for sample in _everything()]
    print(f"{sum(played)} of {len(played)} sample events are as expected")
    return 0 if all(played) else 1


def _everything() -> list[Sample]:
    return [sample for named in samples().values() for sample in named.values()]


def _passes(stack: Stack, sample: Sample) -> bool:
    """Send the event in the state that it needs, and again where the sweep may have changed that state meanwhile."""
    for _ in range(1 if _SWEPT.isdisjoint(sample.expected.given) else _ATTEMPTS):
        _prepare(stack, sample.expected)
        outcome = _send(stack, sample)
        if outcome.as_expected:
            print(f"pass  {sample}: {sample.expected}", flush=True)
            return True
    print(f"FAIL  {sample}: {outcome.said}, expected: {sample.expected}\n{outcome.log}", flush=True)
    return False
