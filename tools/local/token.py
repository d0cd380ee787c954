"""`make token USER=local-entitled [STAGE=local]`: a token as the main app issues it, for testers of a stage.

For the local system, USER may also be one of the names in .local/stack.json. A token of a
deployed stage needs the right to read the stage's JWT secret. There are no tokens for prod.
"""

import json
import re
import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tools.local import members
from tools.local.stack import Stack
from tools.local.workspace import CommandError, Workspace, command_line, shows_errors

_DEPLOYED_SECONDS = 60 * 60
_REFUSED = "prod"
_STAGE = re.compile(r"[a-z][a-z0-9-]*")


def token(workspace: Workspace, stage: str, user: str) -> str:
    """Return a token; for a deployed stage it lasts an hour. Raises CommandError."""
    if not _STAGE.fullmatch(stage):
        raise CommandError(f"STAGE must be the name of a stage; it is {stage!r}.")
    if stage == _REFUSED:
        raise CommandError("There are no tokens for prod: a token speaks for a member, and members there are people.")
    if stage == "local":
        stack = Stack.load(workspace)
        return stack.token(stack.users[user].id if user in stack.users else user)
    try:
        secret = _jwt_secret(f"AfterHours-{stage}")
    except (ClientError, BotoCoreError) as error:
        raise CommandError(f"The JWT secret of {stage} cannot be read: {error}") from error
    if secret is None:
        raise CommandError(f"The JWT secret of {stage} is not put in yet.")
    return members.token(user, secret, lifetime_seconds=_DEPLOYED_SECONDS)


def _jwt_secret(stack_name: str) -> str | None:
    [stack] = boto3.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    secret = boto3.client("secretsmanager").get_secret_value(SecretId=outputs["JwtSecretArn"])["SecretString"]
    value: str | None = json.loads(secret).get("jwtSecret")
    return value


@shows_errors
def main() -> int:
    parser = command_line(__doc__)
    parser.add_argument("stage")
    parser.add_argument("user", nargs="?")
    arguments = parser.parse_args()
    if not arguments.user:
        parser.error("say whose token: make token USER=local-entitled")
    print(token(arguments.workspace, arguments.stage, arguments.user))
    return 0


if __name__ == "__main__":
    sys.exit(main())
