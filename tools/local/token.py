"""Tokens as the main app issues them, for testers of a stage. There are none for prod."""

import json

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tools.local import members
from tools.local.stack import Stack
from tools.local.workspace import CommandError, Workspace

_DEPLOYED_SECONDS = 60 * 60


def token(workspace: Workspace, stage: str, user: str) -> None:
    """`make token USER=local-entitled [STAGE=local]`: print a token; for a deployed stage it lasts an hour.

    For the local system, USER may also be one of the names in .local/stack.json. A token of a deployed stage needs the
    right to read the stage's JWT secret.
    """
    if stage == "local":
        stack = Stack.load(workspace)
        print(stack.users[user].token if user in stack.users else stack.token(user))
        return
    try:
        print(members.token(user, _jwt_secret(f"AfterHours-{stage}"), lifetime_seconds=_DEPLOYED_SECONDS))
    except (ClientError, BotoCoreError, KeyError) as error:
        raise CommandError(f"The JWT secret of {stage} cannot be read, or is not put in yet: {error}") from error


def _jwt_secret(stack_name: str) -> str:
    [stack] = boto3.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    secret = boto3.client("secretsmanager").get_secret_value(SecretId=outputs["JwtSecretArn"])["SecretString"]
    value: str = json.loads(secret)["jwtSecret"]
    return value
