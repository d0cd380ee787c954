"""`make deploy STAGE=…`: ask the account first, deploy, and protect what the stack must not lose.

What would fail after twelve minutes, or would empty production, is refused with a sentence before anything is changed.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra import options
from infra.options import FUNCTIONS, Options, Refused
from tools.local.arguments import Arguments

STACK_POLICY = Path(__file__).with_name("stack-policy.json")

# What Lambda keeps for functions that reserve nothing ("Configuring reserved concurrency", AWS Lambda Developer Guide).
_UNRESERVED = 100
# Zones without RDS Proxy, by the id that is the same in all accounts ("Quotas and limitations for RDS Proxy", Aurora
# User Guide).
_WITHOUT_PROXY = {"use1-az3", "usw1-az2"}
# Secrets that a stack makes where no option names one: the option, and how their logical ids begin.
_OWN_SECRETS = {
    "jwtSecretArn": "SecretsJwt",
    "locationSecretArn": "SecretsLocation",
    "r2SecretArn": "SecretsR2",
}
# Options that a function's environment shows, if the database is not our own.
_ADDRESS = {"databasePort": "DATABASE_PORT", "databaseHost": "DATABASE_HOST", "databaseName": "DATABASE_NAME"}


def check(chosen: Options, session: boto3.Session) -> None:
    """Raise `Refused` for what the account or the stack that is deployed does not allow."""
    deployed = _deployed(session.client("cloudformation"), chosen.stage.stack_name)
    _check_concurrency(chosen, session.client("lambda").get_account_settings()["AccountLimit"], first=deployed is None)
    if chosen.stage.cluster and chosen.stage.cluster.proxy:
        zones = session.client("ec2").describe_availability_zones(
            Filters=[{"Name": "zone-type", "Values": ["availability-zone"]}]
        )["AvailabilityZones"]
        _check_zones(chosen, {zone["ZoneName"]: zone["ZoneId"] for zone in zones})
    if deployed is not None:
        check_deployed(chosen, deployed)


def _deployed(cloudformation: Any, stack_name: str) -> dict[str, Any] | None:  # noqa: ANN401 (a client of boto3)
    """Return the resources of the stack's template; None where there is no stack, or one that has none yet."""
    try:
        template = cloudformation.get_template(StackName=stack_name)["TemplateBody"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError" and "does not exist" in str(error):
            return None
        raise
    return template["Resources"] if template else None


def _check_concurrency(chosen: Options, limit: Mapping[str, Any], *, first: bool) -> None:
    needed = chosen.stage.reserved(FUNCTIONS) + _UNRESERVED
    # A stack that is deployed has its share already.
    has = limit["UnreservedConcurrentExecutions"] if first else limit["ConcurrentExecutions"]
    if chosen.stage.concurrency and has < needed:
        raise Refused(
            f"The stage {chosen.stage.name} needs {needed} concurrent executions and the account has {has:.0f}: ask"
            " Service Quotas for more (L-B99A9384), or lower `concurrency` in infra/stages.py."
        )


def _check_zones(chosen: Options, ids: Mapping[str, str]) -> None:
    cluster = chosen.stage.cluster
    zones = (cluster and cluster.zones) or tuple(sorted(ids)[:2])
    if lacking := [zone for zone in zones if ids.get(zone, "unknown") in {*_WITHOUT_PROXY, "unknown"}]:
        others = sorted(name for name, zone_id in ids.items() if zone_id not in _WITHOUT_PROXY)
        raise Refused(
            f"There is no RDS Proxy in {lacking[0]} ({ids.get(lacking[0], 'unknown here')}): write two of"
            f" {', '.join(others)} as `zones` into the cluster of the stage {chosen.stage.name} in infra/stages.py."
        )


def check_deployed(chosen: Options, resources: Mapping[str, Any]) -> None:
    """Refuse what has been forgotten since the last deployment, which made these resources."""
    row = f"the row of {chosen.stage.name} in infra/stages.py"
    clusters = _properties(resources, "AWS::RDS::DBCluster")
    if clusters and not chosen.stage.cluster:
        raise Refused(f"The stack has a database of its own, and {row} says ExistingDatabase(…): it would be lost.")
    if chosen.stage.cluster and not clusters:
        raise Refused(f"The stack uses an existing database, and {row} says Cluster(…): an empty one would be made.")
    snapshot = next((each["SnapshotIdentifier"] for each in clusters if "SnapshotIdentifier" in each), None)
    if chosen.stage.cluster and snapshot and not chosen.stage.cluster.restored_from:
        raise Refused(f"The cluster was restored, and an empty one would replace it: {row} lacks {snapshot}.")
    given = chosen.model_dump(by_alias=True)
    for option, loss in [*_given_before(resources), *([] if clusters else _given_about_the_database(resources))]:
        if not given[option]:
            raise Refused(f"The last deployment had {option}, and without it {loss}: say -c {option}=… again.")


def _given_before(resources: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each option of the last deployment, with what happens without it."""
    made = [name for name, each in resources.items() if each["Type"] == "AWS::SecretsManager::Secret"]
    for option, beginning in _OWN_SECRETS.items():
        if not any(name.startswith(beginning) for name in made):
            yield option, "the stack would make a secret of its own"
    if _properties(resources, "AWS::ApiGatewayV2::DomainName"):
        yield "domainName", "released apps would call a domain that is gone"
    if any("CorsConfiguration" in api for api in _properties(resources, "AWS::ApiGatewayV2::Api")):
        yield "allowedOrigins", "web pages could not call the API"
    mails = {each["TopicArn"]["Ref"]: each["Endpoint"] for each in _properties(resources, "AWS::SNS::Subscription")}
    page = next((address for topic, address in mails.items() if topic.startswith("Alarmspages")), None)
    if page:
        yield "alarmEmail", "pages would reach no person"
    if any(address != page for address in mails.values()):
        yield "ticketEmail", "tickets would go elsewhere"


def _given_about_the_database(resources: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    functions = {
        each["FunctionName"].rpartition("-")[2]: each
        for each in _properties(resources, "AWS::Lambda::Function")
        if "FunctionName" in each
    }
    serving, migrating = functions["get_session"], functions["migrate_database"]
    variables = serving["Environment"]["Variables"]
    if variables["DATABASE_SECRET_ARN"] != migrating["Environment"]["Variables"]["DATABASE_SECRET_ARN"]:
        yield "appDatabaseSecretArn", "functions would serve as the owner of the tables"
    for option, variable in _ADDRESS.items():
        if variable in variables:
            yield option, "the secret alone would have to name the database"
    if "VpcConfig" in serving:
        yield "databaseVpcId", "functions would leave the database's network"


def _properties(resources: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    return [each["Properties"] for each in resources.values() if each["Type"] == kind]


def protect(stack_name: str, session: boto3.Session) -> None:
    """Set the stack policy, whose lifting lasts for one deployment."""
    session.client("cloudformation").set_stack_policy(StackName=stack_name, StackPolicyBody=STACK_POLICY.read_text())


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("--context", "-c", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("command", nargs="+", help="the CDK's, to which the context is added")
    arguments = parser.parse_args()
    context = dict(pair.partition("=")[::2] for pair in arguments.context)
    session = boto3.Session()
    try:
        chosen = options.read(context, region=session.region_name)
        check(chosen, session)
        status = subprocess.run(
            [*arguments.command, *(word for pair in arguments.context for word in ("-c", pair))], check=False
        ).returncode
        if chosen.stage.protected and _deployed(session.client("cloudformation"), chosen.stage.stack_name) is not None:
            protect(chosen.stage.stack_name, session)
    except (Refused, BotoCoreError, ClientError) as error:
        sys.exit(str(error))
    sys.exit(status)


if __name__ == "__main__":
    main()
