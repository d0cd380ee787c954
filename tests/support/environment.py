"""What a deployment gives to the functions: settings, secrets, the names of buckets; and forgetting what they kept."""

from after_hours.foundation import clients, database, secrets
from after_hours.outbox import schedules

JWT_SECRET = "a secret that only the main app and this backend know, long enough for HS512"
LOCATION_KEY = "a key that makes one member's fuzzed points differ"
SETTINGS = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "SCHEDULE_GROUP": "after-hours",
    "SCHEDULER_ROLE_ARN": "arn:aws:iam::123456789012:role/scheduler",
    "EXPIRE_FUNCTION_ARN": "arn:aws:lambda:us-east-1:123456789012:function:expire_session",
    "SCHEDULE_DEAD_LETTER_ARN": "arn:aws:sqs:us-east-1:123456789012:dead-letters",
    "EVENT_BUS": "after-hours-events",
    "UPLOAD_BUCKET": "uploads",
}
R2_BUCKET = "photos"
UPLOAD_BUCKET = SETTINGS["UPLOAD_BUCKET"]
UNREACHABLE = "http://127.0.0.1:9"  # the discard port: connections are refused


def start_cold() -> None:
    """Forget all that a warm function keeps."""
    clients.start_anew()
    forget()


def forget() -> None:
    """Forget what a warm function keeps, but not its clients of AWS: to make them takes longer than most tests."""
    database.shared().close()
    database.shared.cache_clear()
    schedules.breaker.close()
    secrets.breaker.close()
    for secret in (secrets.database_secret, secrets.jwt_secret, secrets.location_secret, secrets.r2_secret):
        secret.forget()
