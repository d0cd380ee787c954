"""Copy what is outside the database into the tables of the audit, so that the rules can compare."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from tools.contract import published
from tools.local.schedules import find, moment
from tools.soak.system import QUEUE, System

_ADD = "INSERT INTO soak.{0} SELECT * FROM json_populate_recordset(NULL::soak.{0}, %s)"
_LOOKED_AT = 120  # schedules at the most, since each takes a call
_SECRET = re.compile(r"[\w-]{24,}")  # too long to be guessed


def keep(system: System, table: str, rows: Iterable[object]) -> None:
    """Replace the rows of a table of the audit. Each row is a dictionary by the names of the columns."""
    system.database.run(f"DELETE FROM soak.{table}; {_ADD.format(table)}", (json.dumps(list(rows)),))


def listen(system: System) -> None:
    """Take the events that the bus has delivered. To be called by one thread."""
    sqs = system.clients["sqs"]
    queue = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    asked = {"QueueUrl": queue, "MaxNumberOfMessages": 10, "MessageSystemAttributeNames": ["SentTimestamp"]}
    while messages := sqs.receive_message(**asked).get("Messages"):
        rows = json.dumps([_heard(message) for message in messages])
        system.database.run(f"{_ADD.format('heard')} ON CONFLICT DO NOTHING", (rows,))
        taken = [{"Id": message["MessageId"], "ReceiptHandle": message["ReceiptHandle"]} for message in messages]
        sqs.delete_message_batch(QueueUrl=queue, Entries=taken)


def _heard(message: Mapping[str, Any]) -> dict[str, object]:
    event = json.loads(message["Body"])
    detail = event["detail"]
    return {
        "message": message["MessageId"],
        "at": message["Attributes"]["SentTimestamp"],
        "event_id": detail["eventId"],
        "type": event["detail-type"],
        "key": detail.get("sessionId") or detail.get("photoId"),
        "reason": detail.get("reason"),
        "fault": "; ".join(published.faults(event["source"], event["detail-type"], detail)),
    }


def look_at_aws(system: System) -> None:
    """Keep which schedules and objects there are now. Schedules without a session are looked at first."""
    sessions = {id_ for (id_,) in system.database.run("SELECT id::text FROM after_hours_sessions")}
    names = sorted(system.schedules(), key=lambda name: (name.partition("-")[2] in sessions, name))
    times: dict[str, str | None] = dict.fromkeys(names)
    for name in names[:_LOOKED_AT]:
        schedule = find(system.clients["scheduler"], system.stack.schedule_group, name)
        if schedule:  # else it has fired since it was listed
            times[name] = moment(schedule["ScheduleExpression"]).isoformat()
    keep(system, "schedules", [{"name": name, "at": at} for name, at in times.items()])

    objects = []
    for store, bucket in (("r2", system.stack.r2_bucket), ("uploads", system.stack.upload_bucket)):
        for page in system.clients["s3"].get_paginator("list_objects_v2").paginate(Bucket=bucket):
            objects += [{"store": store, "key": item["Key"]} for item in page.get("Contents", ())]
    keep(system, "objects", objects)


def read_logs(system: System) -> None:
    """Keep the logs, and the secrets that none of them may hold."""
    secrets, logs = system.clients["secretsmanager"], system.clients["logs"]
    written = {"PostgreSQL": (system.workspace.logs / "postgresql.log").read_text(errors="replace")}
    for name, function in system.stack.functions.items():
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{function}")
        written[name] = "\n".join(event["message"] for page in pages for event in page["events"])
    keep(system, "logs", [{"name": name, "content": text.replace("\0", "")} for name, text in written.items()])
    for secret in secrets.list_secrets()["SecretList"]:
        for value in json.loads(secrets.get_secret_value(SecretId=secret["ARN"])["SecretString"]).values():
            if isinstance(value, str) and _SECRET.fullmatch(value):
                system.database.run("INSERT INTO soak.secrets VALUES (%s, %s)", (f"secret of {secret['Name']}", value))
