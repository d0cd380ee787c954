"""What is refused before anything is built, each time with one sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra import options

SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:vlvt/postgres-a1B2c3"
CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/0a1b2c3d"
PROD: dict[str, str | None] = {"stage": "prod", "alarmEmail": "ops@example.com"}
LOCAL: dict[str, str | None] = {"stage": "local", "databaseSecretArn": SECRET}
PRIVATE: dict[str, str | None] = {
    "databaseVpcId": "vpc-1", "databaseSubnetIds": "subnet-1,subnet-2", "databaseSecurityGroupId": "sg-1",
    "databasePort": "6432",
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"stage": None}, "Say which stage to deploy with -c stage=…: prod, staging, dev, local."),
        ({"databaseSecretArn": SECRET}, "The stage prod has a database of its own, which databaseSecretArn would take"),
        ({"stage": "production"}, "There is no stage production; there are prod, staging, dev, local."),
        ({"alarmEmail": None}, "Alarms of prod must reach a person: say whom with -c alarmEmail=…."),
        ({"databaseSecretARN": SECRET}, "There is no option databaseSecretARN; there are alarmEmail, "),
        ({"r2SecretArn": SECRET.removesuffix("-a1B2c3")}, "r2SecretArn is not the complete ARN of a secret"),
        ({"stage": "local", "databaseSecretArn": None}, "The stage local makes no database of its own"),
        (
            {"databaseSecretArn": SECRET.replace("eu-west-1", "eu-north-1")},
            "databaseSecretArn is a secret in eu-north-1, and the deployment goes to eu-west-1",
        ),
        (LOCAL | {"databaseVpcId": "vpc-1"}, "A private database needs databaseVpcId, databaseSubnetIds, database"),
        (
            LOCAL | PRIVATE | {"databasePort": None},
            f"A private database needs {', '.join(PRIVATE)} together; databasePort is missing.",
        ),
        ({"appDatabaseSecretArn": SECRET}, "appDatabaseSecretArn is about an existing database: name its secret"),
        ({"databasePort": "https"}, "databasePort is not a number: https"),
        (
            {"domainName": "hours.example.com"},
            "A domain needs its certificate: domainName and certificateArn go together.",
        ),
        ({"domainName": "https://hours.example.com"}, "domainName is not the name of a host"),
        (
            {"domainName": "hours.example.com", "certificateArn": CERTIFICATE.replace("eu-west-1", "us-east-1")},
            "certificateArn is not a certificate in the region of the deployment",
        ),
        ({"ticketEmail": "nobody"}, "ticketEmail is not one address: nobody"),
        ({"allowedOrigins": "https://a.example.com,https://*.example.com"}, "allowedOrigins are like"),
    ],
)
def test_options_that_cannot_be_deployed_are_refused_with_a_sentence(
    given: dict[str, str | None], sentence: str
) -> None:
    with pytest.raises(options.Refused) as refusal:
        options.read(PROD | given, region="eu-west-1")
    assert str(refusal.value).startswith(sentence)
    assert "\n" not in str(refusal.value)


def test_a_region_whose_databases_cannot_be_verified_is_refused() -> None:
    with pytest.raises(options.Refused, match="no certificate authorities of RDS in cn-north-1"):
        options.read(PROD, region="cn-north-1")


def test_the_app_ends_with_that_sentence_before_the_cdk_is_loaded(tmp_path: Path) -> None:
    """Which needs Node.js and takes ten seconds."""
    without_node = {"PATH": str(tmp_path), "CDK_CONTEXT_JSON": '{"stage": "prod"}', "CDK_OUTDIR": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-m", "infra.app"], capture_output=True, text=True, check=False, env=os.environ | without_node
    )
    assert result.returncode == 1
    assert result.stderr == "Alarms of prod must reach a person: say whom with -c alarmEmail=….\n"
    assert list(tmp_path.iterdir()) == []
