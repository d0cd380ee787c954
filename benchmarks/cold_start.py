"""What a cold start imports, as CPU time against Python alone and against what every function imports anyway.

Each line is a fresh process, the best of a few, as Lambda starts one: byte-code is there, nothing else is.
"""

import resource
import subprocess
import sys

from local.workspace import REPOSITORY

ROUNDS = 5
# PyJWT takes `cryptography` where it is installed, as it is here by a development tool and not in the layer.
AS_IN_THE_LAYER = "import sys; sys.modules['cryptography'] = None; "
ENVIRONMENT = {
    "PYTHONPATH": "layers/after_hours/python",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "a",
    "AWS_SECRET_ACCESS_KEY": "b",
}
ALONE = "pass"
EVERY_FUNCTION = "from after_hours import api"
READING = "import functions.get_session.handler"
SIGNER = f"{EVERY_FUNCTION}; import botocore.auth, botocore.awsrequest, botocore.credentials, botocore.httpsession"
CLIENT = "import boto3; boto3.client('secretsmanager', region_name='us-east-1')"
STARTING = (
    "import functions.start_session.handler; from after_hours import domain_events, schedules;"
    "schedules._client(); domain_events._client()"
)
RESOLVER = "from aws_lambda_powertools.event_handler import APIGatewayHttpResolver"

MEASURED = {
    "Python alone": ALONE,
    "what every endpoint imports (after_hours.api)": EVERY_FUNCTION,
    "the handler of get_session": READING,
    "… and what reads the secrets (botocore's signer)": f"{READING}; {SIGNER}",
    "… had boto3 read them": f"{READING}; {CLIENT}",
    "… and Powertools' resolver routed": f"{READING}; {SIGNER}; {RESOLVER}",
    "start_session with its two clients": f"{STARTING}; {SIGNER}",
}


def cpu_seconds(code: str) -> float:
    """User and system time of one Python process that runs `code`, children included; the best of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-c", AS_IN_THE_LAYER + code],
            check=True,
            cwd=REPOSITORY,
            env=ENVIRONMENT,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return best


def main() -> None:
    print("Cold start: CPU of the imports, as a multiple of what every endpoint imports")
    seconds = {name: cpu_seconds(code) for name, code in MEASURED.items()}
    base = seconds["what every endpoint imports (after_hours.api)"]
    for name, taken in seconds.items():
        print(f"  {taken / base:5.2f}  {name}  ({taken * 1000:.0f} ms)")


if __name__ == "__main__":
    main()
