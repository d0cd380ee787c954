"""`make sql STAGE=prod SQL="SELECT …"` or `FILE=…`: run one statement on a stage's own cluster, as the owner.

`LINES=keys.txt` gives the statement the text of a file, as the parameter `:lines`. It goes through the RDS Data API
with your own rights, and each use is told to the people on call. docs/operations.md says what may be read.
"""

import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.stages import STAGES
from tools.local.arguments import Arguments

_DATABASE = "after_hours"
_WAKES_WITHIN_SECONDS = 60  # a cluster that was paused


def run(client: Any, outputs: Mapping[str, str], statement: str, lines: str | None = None) -> Iterator[list[str]]:  # noqa: ANN401 (a client of boto3)
    """Yield the result's rows, the names of the columns first. For a change, yield the number of its rows."""
    parameters = [] if lines is None else [{"name": "lines", "value": {"stringValue": lines}}]
    result = _awake(
        client,
        resourceArn=outputs["DatabaseClusterArn"],
        secretArn=outputs["DatabaseSecretArn"],
        database=_DATABASE,
        sql=statement,
        parameters=parameters,
        includeResultMetadata=True,
    )
    if not result.get("columnMetadata"):
        yield [f"{result.get('numberOfRecordsUpdated', 0)} rows"]
        return
    yield [column["name"] for column in result["columnMetadata"]]
    for record in result.get("records", []):
        yield ["NULL" if "isNull" in field else str(next(iter(field.values()))) for field in record]


def _awake(client: Any, **call: Any) -> Any:  # noqa: ANN401 (a client of boto3)
    deadline = time.monotonic() + _WAKES_WITHIN_SECONDS
    while True:
        try:
            return client.execute_statement(**call)
        except ClientError as error:
            if error.response["Error"]["Code"] != "DatabaseResumingException" or time.monotonic() > deadline:
                raise
            time.sleep(2)


def _outputs(stage: str) -> dict[str, str]:
    [stack] = boto3.client("cloudformation").describe_stacks(StackName=STAGES[stage].stack_name)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("stage", choices=[name for name, stage in STAGES.items() if stage.cluster])
    parser.add_argument("--sql")
    parser.add_argument("--file", type=Path)
    parser.add_argument("--lines", type=Path)
    options = parser.parse_args()
    if not options.sql and not options.file:
        parser.error('say a statement with SQL="…" or FILE=…')
    try:
        statement, lines = options.sql or options.file.read_text(), options.lines and options.lines.read_text()
        for row in run(boto3.client("rds-data"), _outputs(options.stage), statement, lines):
            print("\t".join(row))
    except (BotoCoreError, ClientError, OSError) as error:
        sys.exit(f"The statement did not run: {error}")


if __name__ == "__main__":
    main()
