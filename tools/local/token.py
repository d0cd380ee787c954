"""Tokens as the main app issues them, for testers of a stage.

For the local system, USER may also be one of the names in .local/stack.json. A token of a
deployed stage needs the right to read the stage's JWT secret. There are no tokens for prod.
"""

import json
import re

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tools.local import members
from tools.local.stack import Stack
from tools.local.workspace import CommandError, Workspace

_DEPLOYED_SECONDS = 60 * 60
_REFUSED = "prod"
_STAGE = re.compile(r"[a-z][a-z0-9-]*")


def token(workspace: Workspace, stage: str, user: str | None) -> None:
    """`make token USER=local-entitled [STAGE=local]`: print a token; for a deployed stage it lasts an hour."""
    if not user:
        raise CommandError("Say whose token: make token USER=local-entitled")
    print(_token(workspace, stage, user))


def _token(workspace: Workspace, stage: str, user: str) -> str:
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
