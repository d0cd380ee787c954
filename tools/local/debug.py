"""`make debug FUNCTION=start_session [EVENT=valid]`: run one handler in this process, against the running system.

The code is that of the working tree, so a `breakpoint()` in it stops here. An editor's debugger can run
`python -m tools.local.debug start_session` itself.
"""

import json
import os
import sys
from uuid import uuid4

import boto3

from tools.local import aws, members
from tools.local.handlers import Context, load
from tools.local.invoke import Outcome, ready
from tools.local.samples import Sample
from tools.local.stack import Stack
from tools.local.workspace import REPOSITORY, command_line, shows_errors


def run(stack: Stack, sent: Sample) -> Outcome:
    """Run the handler as the deployed function is: in its environment, with its event."""
    deployed = boto3.client("lambda", **stack.aws).get_function_configuration(
        FunctionName=stack.deployed(sent.function)
    )
    os.environ.update(deployed["Environment"]["Variables"] | aws.settings(stack.aws_endpoint_url))
    context = Context(deployed["FunctionName"], deployed["MemorySize"], deployed["FunctionArn"], str(uuid4()))
    sys.path.insert(0, str(REPOSITORY / "layers" / "after_hours" / "python"))  # the package, where the layer has it
    handler = load(sent.function).handler
    try:
        result = handler(sent.event(stack.token(members.SAMPLE.id)), context)
    except Exception as error:  # noqa: BLE001 (whatever it fails with is the outcome)
        sys.excepthook(type(error), error, error.__traceback__)
        return Outcome(failed=True, result={"errorType": type(error).__name__, "errorMessage": str(error)}, log="")
    return Outcome(failed=False, result=json.loads(json.dumps(result)), log="")


@shows_errors
def main() -> int:
    parser = command_line(__doc__)
    parser.add_argument("function")
    parser.add_argument("event", nargs="?", default="valid")
    arguments = parser.parse_args()
    stack, sent = ready(arguments)
    outcome = run(stack, sent)
    print(f"\nExpected: {sent.expected}\nOutcome:  {outcome}")
    print(json.dumps(outcome.body, indent=2, ensure_ascii=False))
    return 0 if outcome.is_as(sent.expected) else 1


if __name__ == "__main__":
    sys.exit(main())
