"""Send a sample event to a deployed function, or to its handler in this process.

The samples have a member of their own. Before an event is sent, that member is put into the state that it needs.
An editor's debugger can run `python -m tools.local invoke --here start_session` itself.
"""

import base64
import json
import os
import sys
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import boto3

from tools.local import aws, members, states
from tools.local.handlers import Context, load
from tools.local.samples import Expected, Sample, samples
from tools.local.stack import Stack
from tools.local.workspace import REPOSITORY, CommandError, Workspace


@dataclass(frozen=True)
class Outcome:
    """What came of one event: the `result` as the function returned it, or the error that it failed with."""

    failed: bool
    result: Any
    log: str = ""

    @property
    def body(self) -> Any:  # noqa: ANN401 (JSON)
        """The parsed body of an endpoint's answer, or the result of a job."""
        if not self._is_answer:
            return self.result
        return json.loads(self.result["body"]) if self.result.get("body") else None

    def __str__(self) -> str:
        if self.failed:
            return f"fails with {self.result.get('errorType')}: {self.result.get('errorMessage')}"
        if not self._is_answer:
            return f"returns {json.dumps(self.result)}"
        code = self.body.get("code") if isinstance(self.body, dict) else None
        return f"{self.result['statusCode']} {code or ''}".rstrip()

    def is_as(self, expected: Expected) -> bool:
        if self.failed:
            return expected.raises is not None and expected.raises in json.dumps(self.result) + self.log
        if self._is_answer:
            return str(self) == str(expected)
        return expected.returns is not None and expected.returns.items() <= self.result.items()

    @property
    def _is_answer(self) -> bool:
        return not self.failed and isinstance(self.result, dict) and "statusCode" in self.result


def sample(function: str, event: str) -> Sample:
    """Return a sample event. Raises `CommandError`, naming the choices, when there is none."""
    choices = samples()
    if function not in choices:
        raise CommandError(f"There is no function {function!r}. Say FUNCTION= one of: {', '.join(sorted(choices))}")
    if event not in choices[function]:
        raise CommandError(
            f"{function} has no sample {event!r}. Say EVENT= one of: {', '.join(sorted(choices[function]))}"
        )
    return choices[function][event]


def prepare(stack: Stack, expected: Expected) -> None:
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


def send(stack: Stack, sent: Sample) -> Outcome:
    """Invoke the deployed function with the event, whatever the state is."""
    answer = boto3.client("lambda", **stack.aws).invoke(
        FunctionName=stack.deployed(sent.function),
        Payload=sent.text(stack.token(members.SAMPLE.id)).encode(),
        LogType="Tail",
    )
    log = base64.b64decode(answer.get("LogResult", "")).decode(errors="replace").strip()
    return Outcome("FunctionError" in answer, json.load(answer["Payload"]), log)


def run_here(stack: Stack, sent: Sample) -> Outcome:
    """Run the handler in this process, in the environment of the deployed function."""
    deployed = boto3.client("lambda", **stack.aws).get_function_configuration(
        FunctionName=stack.deployed(sent.function)
    )
    os.environ.update(deployed["Environment"]["Variables"] | aws.settings(stack.aws_endpoint_url))
    context = Context(deployed["FunctionName"], deployed["MemorySize"], deployed["FunctionArn"], str(uuid4()))
    sys.path.insert(0, str(REPOSITORY / "layers" / "after_hours" / "python"))  # the package, where the layer has it
    handler = load(sent.function).handler
    try:
        result = handler(sent.event(stack.token(members.SAMPLE.id)), context)
    except Exception as error:  # noqa: BLE001 (every exception is an outcome)
        sys.excepthook(type(error), error, error.__traceback__)
        return Outcome(failed=True, result={"errorType": type(error).__name__, "errorMessage": str(error)})
    return Outcome(failed=False, result=json.loads(json.dumps(result)))


def _print(sent: Sample, outcome: Outcome) -> None:
    print(f"\nSent:     {sent} as {members.SAMPLE.id}, given: {sent.expected.needs}")
    print(f"Expected: {sent.expected}")
    print(f"Outcome:  {outcome}" + ("" if outcome.is_as(sent.expected) else ", which is not as expected"))
    print(json.dumps(outcome.body, indent=2, ensure_ascii=False))
    if outcome.log:
        print(f"\nLog:\n{outcome.log}")


def _print_json(sent: Sample, outcome: Outcome) -> None:
    said = {
        "event": str(sent),
        "expected": sent.expected.model_dump(mode="json", exclude_none=True),
        "asExpected": outcome.is_as(sent.expected),
        "failed": outcome.failed,
        "result": outcome.result,
        "log": outcome.log.splitlines(),
    }
    print(json.dumps(said, indent=2, ensure_ascii=False))


def invoke(workspace: Workspace, function: str, event: str, *, json: bool, here: bool) -> int:
    """`make invoke FUNCTION=start_session [EVENT=valid] [JSON=1]`: send one sample event to a deployed function.

    `make debug` (`--here`) runs the handler of the working tree in this process, so that a `breakpoint()` in it stops.
    """
    sent = sample(function, event)
    stack = Stack.load(workspace)
    prepare(stack, sent.expected)
    outcome = (run_here if here else send)(stack, sent)
    (_print_json if json else _print)(sent, outcome)
    return 0 if outcome.is_as(sent.expected) else 1
