"""`make invoke FUNCTION=start_session [EVENT=valid]`: send a sample event to a deployed function."""

import base64
import json
import sys

import boto3

from local import aws
from local.samples import Sample, samples
from local.stack import Stack
from local.workspace import CommandError, command_line


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


def invoke(stack: Stack, function: str, event: str) -> bool:
    """Send the sample to the function and print what came of it; whether the function ran to its end."""
    payload = sample(function, event).text(stack.users["entitled"].token)
    answer = boto3.client("lambda", **stack.aws).invoke(
        FunctionName=stack.functions[function], Payload=payload.encode(), LogType="Tail"
    )
    failed = "FunctionError" in answer
    result = json.load(answer["Payload"])
    if isinstance(result, dict) and "statusCode" in result:
        print(f"Status: {result['statusCode']}")
        result = json.loads(result["body"]) if result.get("body") else None
    else:
        print("Failed:" if failed else "Result:")
    print(json.dumps(result, indent=2, ensure_ascii=False))
    log = base64.b64decode(answer.get("LogResult", "")).decode(errors="replace").strip()
    print(f"\nLog:\n{log}")
    return not failed


def main() -> int:
    parser = command_line(__doc__)
    parser.add_argument("function")
    parser.add_argument("event", nargs="?", default="valid")
    arguments = parser.parse_args()
    aws.forget_own_account()
    try:
        sample(arguments.function, arguments.event)
        return 0 if invoke(Stack.load(arguments.workspace), arguments.function, arguments.event) else 1
    except CommandError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
