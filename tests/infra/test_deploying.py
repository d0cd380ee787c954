"""What `make deploy` asks the account before it changes anything, and what it protects afterwards."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
import yaml
from moto import mock_aws
from pydantic.alias_generators import to_camel

from infra import options
from infra.options import Options, Refused
from infra.stages import STAGES
from tests.support.synthesized import SNAPSHOT, Synthesized
from tools.ops import deploy

PROD = {"stage": "prod", "alarmEmail": "ops@example.com"}
# By options.read, which asks for them with others.
REFUSED_WITHOUT_THEM = {
    "stage", "database_secret_arn", "certificate_arn", "database_subnet_ids", "database_security_group_id",
}  # fmt: skip
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

    def has_deployed(self, **cluster: str) -> None:
        """Deploy a template with a cluster that has these properties, and with secrets."""
        kinds = {
            "Queue": "AWS::SQS::Queue",
            **dict.fromkeys(deploy._OWN_SECRETS.values(), "AWS::SecretsManager::Secret"),
        }
        resources: dict[str, Any] = {name: {"Type": kind, "Properties": {}} for name, kind in kinds.items()}
        properties = {"Engine": "aurora-postgresql", **cluster}
        resources["Cluster"] = {"Type": "AWS::RDS::DBCluster", "Properties": properties}
        self.cloudformation.create_stack(StackName="AfterHours-prod", TemplateBody=json.dumps({"Resources": resources}))


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield Account()


def prod(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Options:
    """The options of a stage prod whose cluster differs in this."""
    assert STAGES["prod"].cluster
    monkeypatch.setitem(STAGES, "prod", replace(STAGES["prod"], database=replace(STAGES["prod"].cluster, **changes)))
    return options.read(PROD)


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
        account.has_deployed()
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


def test_a_database_is_not_taken_away_nor_an_empty_one_made(aws: Synthesized, public: Synthesized) -> None:
    for each in (aws, public):
        deploy.check_deployed(each.options, each.template["Resources"])
    with pytest.raises(Refused, match=r"^The stack has a database of its own, and the row of prod"):
        deploy.check_deployed(public.options, aws.template["Resources"])
    with pytest.raises(Refused, match=r"^The stack uses an existing database, and the row of prod"):
        deploy.check_deployed(aws.options, public.template["Resources"])


def test_a_lost_restored_from_is_refused(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    account.has_deployed(SnapshotIdentifier=SNAPSHOT)
    assert refusal(options.read(PROD), account).endswith(f"the row of prod in infra/stages.py lacks {SNAPSHOT}.")
    check(prod(monkeypatch, restored_from=SNAPSHOT), account)


@pytest.mark.parametrize("lost", sorted(Options.model_fields.keys() - REFUSED_WITHOUT_THEM))
def test_an_option_that_was_given_once_must_be_given_again(private: Synthesized, lost: str) -> None:
    """A lost option can make functions connect as the owner, make a new location key, or take the apps' host away."""
    resources = private.template["Resources"]
    deploy.check_deployed(private.options, resources)
    with pytest.raises(Refused, match=f"^The last deployment had {to_camel(lost)}, and without it [^\n]*$"):
        deploy.check_deployed(private.options.model_copy(update={lost: None}), resources)


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
    account.has_deployed()
    account.cloudformation.set_stack_policy(StackName="AfterHours-prod", StackPolicyBody="{}")
    deploy.protect("AfterHours-prod", cast("boto3.Session", account))
    policy = account.cloudformation.get_stack_policy(StackName="AfterHours-prod")["StackPolicyBody"]
    assert policy == deploy.STACK_POLICY.read_text()


def test_a_stack_that_members_use_is_protected_from_its_deletion(aws: Synthesized, dev: Synthesized) -> None:
    assert [name for name, stage in STAGES.items() if stage.protected] == ["prod", "staging"]
    assert (aws.stack.termination_protection, dev.stack.termination_protection) == (True, False)


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
