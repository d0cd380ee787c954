"""`make pause STAGE=prod` and `make resume STAGE=prod`: stop all functions of a stage at once, and let them run again.

A paused function has no concurrency. Each gets back what the stage's row reserves. Migrations can always run.
"""

import sys
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.options import FUNCTIONS
from infra.stages import STAGES, Stage
from tools.local.arguments import Arguments

PAUSED = tuple(name for name in FUNCTIONS if name != "migrate_database")


def pause(functions: Any, stage: Stage) -> None:  # noqa: ANN401 (a client of boto3)
    for name in PAUSED:
        functions.put_function_concurrency(FunctionName=f"{stage.stack_name}-{name}", ReservedConcurrentExecutions=0)


def resume(functions: Any, stage: Stage) -> None:  # noqa: ANN401 (a client of boto3)
    for name in PAUSED:
        function = f"{stage.stack_name}-{name}"
        if stage.concurrency:
            reserved = stage.concurrency.of(name)
            functions.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=reserved)
        else:
            functions.delete_function_concurrency(FunctionName=function)


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("what", choices=("pause", "resume"))
    parser.add_argument("stage", choices=STAGES)
    options = parser.parse_args()
    try:
        (pause if options.what == "pause" else resume)(boto3.client("lambda"), STAGES[options.stage])
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"Run it again: not every function of {STAGES[options.stage].stack_name} has been told. {error}")
    print(f"{STAGES[options.stage].stack_name}: {options.what}d")


if __name__ == "__main__":
    main()
