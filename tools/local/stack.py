"""A running local system as its users see it: what `stack.json` says, and one way to call it."""

from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from tools.local import aws, calls, members
from tools.local.workspace import CommandError, Workspace, replace_file


class User(BaseModel):
    id: str
    token: str


@dataclass(frozen=True)
class Answer:
    """What the API answered. `body` is the parsed JSON, None when there was no body."""

    status: int
    body: Any


class Stack(BaseModel):
    """The contents of `stack.json`; `functions` and `users` by their short names."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    api_url: str
    aws_endpoint_url: str
    database_url: str
    jwt_secret: str
    upload_bucket: str
    r2_bucket: str
    r2_endpoint_url: str
    schedule_group: str
    event_bus: str
    photo_dead_letters_url: str
    functions: dict[str, str]
    page_url: str
    users: dict[str, User]

    @classmethod
    def load(cls, workspace: Workspace) -> "Stack":
        """Return the system that runs in this workspace. Raises CommandError when there is none."""
        if workspace.holder() is None:  # a killed system leaves its file behind, but not its lock
            raise CommandError("No system is running here. Start one with: make run")
        try:
            return cls.model_validate_json(workspace.stack_file.read_text())
        except FileNotFoundError:
            raise CommandError("The system is starting or stopping. Try again when `make run` says: ready") from None

    def save(self, workspace: Workspace) -> None:
        replace_file(workspace.stack_file, self.model_dump_json(by_alias=True, indent=2) + "\n")

    @property
    def aws(self) -> aws.Access:
        """For boto3: `boto3.client("scheduler", **stack.aws)`."""
        return aws.access(self.aws_endpoint_url)

    def connect(self) -> Connection:
        return psycopg2.connect(self.database_url, connect_timeout=30)

    def token(self, user_id: str) -> str:
        return members.token(user_id, self.jwt_secret)

    def call(self, method: str, path: str, *, token: str | None = None, body: object = None) -> Answer:
        """Call the API; `path` as in docs/openapi.json, `/session/start`. `body` is sent as JSON."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        content = {} if body is None else {"json": body}
        answer = calls.request(method, self.api_url + path, headers=headers, **content)
        return Answer(answer.status, answer.json() if answer.data else None)
