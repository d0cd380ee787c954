"""What `make deploy` asks the account before it changes anything, and what it protects afterwards."""

import json
import os
import re
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
import yaml
from moto import mock_aws

from infra import options
from infra.options import Options, Refused
from infra.stages import STAGES, ExistingDatabase
from tests.support.synthesized import DATABASE_SECRET_ARN, SNAPSHOT, Synthesized
from tools.ops import deploy

PROD = {"stage": "prod", "alarmEmail": "ops@example.com"}
NEEDED = STAGES["prod"].reserved(options.FUNCTIONS) + 100


class Account:
    """An account that answers as it is told to: what moto does not know, or knows of one region alone."""

    def __init__(self) -> None:
        self.limit = {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 1000}
        self.zones = {"us-east-1a": "use1-az1", "us-east-1b": "use1-az2", "us-east-1c": "use1-az3"}
        self.cloudformation = boto3.client("cloudformation", region_name="us-east-1")

    def client(self, service: str) -> Any:
        return self.cloudformation if service == "cloudformation" else self

    def get_account_settings(self) -> Any:
        return {"AccountLimit": self.limit}

    def describe_availability_zones(self, **_: Any) -> Any:
        return {"AvailabilityZones": [{"ZoneName": name, "ZoneId": zone} for name, zone in self.zones.items()]}

    def has_deployed(self, *resources: dict[str, Any], given: Collection[str] = ()) -> None:
        """Deploy a template with these resources, and with the secrets of its own that were not given."""
        made = [name for option, name in deploy._OWN_SECRETS.items() if option not in given]
        template = {
            **{each["Type"].replace(":", ""): each for each in resources},
            **{name: {"Type": "AWS::SecretsManager::Secret"} for name in made},
            "Queue": {"Type": "AWS::SQS::Queue"},
        }
        self.cloudformation.create_stack(StackName="AfterHours-prod", TemplateBody=json.dumps({"Resources": template}))


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield Account()


def cluster(**properties: str) -> dict[str, Any]:
    return {"Type": "AWS::RDS::DBCluster", "Properties": {"Engine": "aurora-postgresql", **properties}}


def prod(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Options:
    """The options of a stage prod whose cluster differs in this."""
    assert STAGES["prod"].cluster
    monkeypatch.setitem(STAGES, "prod", replace(STAGES["prod"], database=replace(STAGES["prod"].cluster, **changes)))
    return options.read(PROD)


def given(monkeypatch: pytest.MonkeyPatch) -> Options:
    monkeypatch.setitem(STAGES, "prod", replace(STAGES["prod"], database=ExistingDatabase(max_connections=2000)))
    return options.read(PROD | {"databaseSecretArn": DATABASE_SECRET_ARN})


def check(chosen: Options, account: Account) -> None:
    deploy.check(chosen, cast("boto3.Session", account))


def refusal(chosen: Options, account: Account) -> str:
    with pytest.raises(Refused) as refused:
        check(chosen, account)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("first", [True, False])
def test_an_account_whose_concurrency_was_not_raised_is_refused(account: Account, *, first: bool) -> None:
    """Reserving fails twelve minutes in, when the cluster is there and protected."""
    if not first:
        account.has_deployed(cluster())
        account.limit["UnreservedConcurrentExecutions"] = 300  # the stack has the rest
        check(options.read(PROD), account)
    account.limit = dict.fromkeys(account.limit, 10)
    sentence = f"The stage prod needs {NEEDED} concurrent executions and the account has 10"
    assert refusal(options.read(PROD), account).startswith(sentence)
    check(options.read({"stage": "dev"}), account)


def test_zones_without_rds_proxy_are_refused_by_their_id(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """A zone's name means another zone in each account."""
    check(options.read(PROD), account)
    account.zones = {"us-east-1a": "use1-az3", "us-east-1b": "use1-az2", "us-east-1c": "use1-az1"}
    assert refusal(options.read(PROD), account).startswith(
        "There is no RDS Proxy in us-east-1a (use1-az3): write two of us-east-1b, us-east-1c as `zones`"
    )
    chosen = prod(monkeypatch, zones=("us-east-1b", "us-east-1c"))
    check(chosen, account)


def test_a_database_is_not_taken_away_nor_an_empty_one_made(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    own = options.read(PROD)
    account.has_deployed(cluster())
    check(own, account)
    assert refusal(given(monkeypatch), account).startswith("The stack has a database of its own, and the row of prod")
    account.cloudformation.delete_stack(StackName="AfterHours-prod")
    account.has_deployed()
    check(given(monkeypatch), account)
    assert refusal(own, account).startswith("The stack uses an existing database, and the row of prod")


def test_a_lost_restored_from_is_refused(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    account.has_deployed(cluster(SnapshotIdentifier=SNAPSHOT))
    assert refusal(options.read(PROD), account).endswith(f"the row of prod in infra/stages.py lacks {SNAPSHOT}.")
    check(prod(monkeypatch, restored_from=SNAPSHOT), account)


@pytest.mark.parametrize("option", deploy._OWN_SECRETS)
def test_a_secret_that_was_given_once_must_be_given_again(account: Account, option: str) -> None:
    """Without the location key's, a new key would be made, and members would show at other points."""
    account.has_deployed(cluster(), given={option})
    assert refusal(options.read(PROD), account).startswith(f"The last deployment had {option}, and this one has not")
    check(options.read(PROD | {option: DATABASE_SECRET_ARN}), account)


def test_a_domain_that_was_given_once_must_be_given_again(account: Account) -> None:
    """Without it the stack would take the host away that released apps call."""
    account.has_deployed(
        cluster(), {"Type": "AWS::ApiGatewayV2::DomainName", "Properties": {"DomainName": "a.example"}}
    )
    assert refusal(options.read(PROD), account).startswith("The stack has a domain, which released apps call")
    domain = {"domainName": "a.example", "certificateArn": "arn:aws:acm:us-east-1:111122223333:certificate/12345678"}
    check(options.read(PROD | domain), account)


def test_the_stack_policy_keeps_what_holds_data(aws: Synthesized) -> None:
    _, by_type, by_name = json.loads(deploy.STACK_POLICY.read_text())["Statement"]
    kept = {
        each["Type"] + ("" if each["Type"] != "AWS::SecretsManager::Secret" else f" {name[:-8]}")
        for name, each in aws.template["Resources"].items()
        if each["Type"] in by_type["Condition"]["StringEquals"]["ResourceType"]
        or fnmatchcase(f"LogicalResourceId/{name}", by_name["Resource"])
    }
    assert kept >= {
        "AWS::RDS::DBCluster", "AWS::RDS::DBSubnetGroup", "AWS::S3::Bucket",
        "AWS::SecretsManager::Secret SecretsLocation",
    }  # fmt: skip
    for statement in (by_type, by_name):
        assert (statement["Effect"], statement["Action"]) == ("Deny", ["Update:Replace", "Update:Delete"])


def test_it_is_put_back_after_each_deployment(account: Account) -> None:
    account.has_deployed(cluster())
    account.cloudformation.set_stack_policy(StackName="AfterHours-prod", StackPolicyBody="{}")
    deploy.protect("AfterHours-prod", cast("boto3.Session", account))
    policy = account.cloudformation.get_stack_policy(StackName="AfterHours-prod")["StackPolicyBody"]
    assert policy == deploy.STACK_POLICY.read_text()


def test_a_stack_that_members_use_is_protected_from_its_deletion(aws: Synthesized, dev: Synthesized) -> None:
    assert [name for name, stage in STAGES.items() if stage.protected] == ["prod", "staging"]
    assert (aws.stack.termination_protection, dev.stack.termination_protection) == (True, False)


def test_make_deploy_ends_with_the_sentence(tmp_path: Path) -> None:
    """Before the CDK is started, and without a call of AWS where the options alone say so."""
    done = subprocess.run(
        ["make", "deploy", "STAGE=prod"], capture_output=True, text=True, check=False,
        env=os.environ | {"AWS_REGION": "us-east-1", "AWS_CONFIG_FILE": str(tmp_path / "none")},
    )  # fmt: skip
    assert done.returncode != 0
    assert done.stderr.startswith("Alarms of prod must reach a person: say whom with -c alarmEmail=….\n")


def test_each_environment_has_a_role_that_trusts_it_on_main_alone() -> None:
    """A role for `environment:*` was anybody's who could push a branch: an environment is made by naming it."""
    runbook = Path("docs/operations.md").read_text()
    workflow = yaml.safe_load(Path(".github/workflows/deploy.yml").read_text())
    environments = {job["environment"] for job in workflow["jobs"].values() if "environment" in job}
    trusted = dict(re.findall(r'github (\w+) "([^"]+)"', runbook))
    assert trusted == {
        **{name: f"environment:{name}:ref:refs/heads/main" for name in environments},
        "diff": "pull_request:ref:refs/pull/*",
    }
    assert '"include_claim_keys": ["repo", "context", "ref"]' in runbook
