"""Which database functions connect to, as whom, and through which network."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra import options, stages
from infra.rights import readable
from infra.stages import STAGES, Cluster, Concurrency, ExistingDatabase
from tests.support.synthesized import APP_DATABASE_SECRET_ARN, DATABASE_SECRET_ARN, SNAPSHOT, Resource, Synthesized


def only(synthesized: Synthesized, resource_type: str) -> Resource:
    [resource] = synthesized.resources(resource_type).values()
    properties: Resource = resource["Properties"]
    return properties


def told(synthesized: Synthesized, function: str) -> dict[str, str]:
    """What a function is told about the database."""
    variables = synthesized.variables(function)
    return {name: readable(value) for name, value in variables.items() if name.startswith("DATABASE_")}


# An existing database


def test_the_owner_migrates_and_another_role_serves_where_both_are_given(local: Synthesized) -> None:
    assert told(local, "get_session") == {"DATABASE_SECRET_ARN": APP_DATABASE_SECRET_ARN}
    assert told(local, "migrate_database") == {
        "DATABASE_SECRET_ARN": DATABASE_SECRET_ARN,
        "DATABASE_APP_ROLE": "after_hours_app",
    }


def test_one_role_for_all_is_warned_of_and_no_role_is_made(private: Synthesized, local: Synthesized) -> None:
    def warnings(synthesized: Synthesized) -> list[str]:
        metadata = synthesized.stack.node.metadata
        return [entry.data for entry in metadata if "One role owns the tables and serves" in str(entry.data)]

    assert len(warnings(private)) == 1
    assert warnings(local) == []
    assert "DATABASE_APP_ROLE" not in told(private, "migrate_database")
    assert told(private, "get_session")["DATABASE_SECRET_ARN"] == DATABASE_SECRET_ARN


def test_the_address_may_come_from_options_since_a_secret_that_rds_makes_has_none(private: Synthesized) -> None:
    for function in ("get_session", "migrate_database"):
        assert told(private, function)["DATABASE_HOST"] == "postgres.example.internal"
        assert told(private, function)["DATABASE_NAME"] == "vlvt"
        assert told(private, function)["DATABASE_PORT"] == "5432"


def test_a_given_secret_may_be_encrypted_with_a_key_of_its_owner_s(private: Synthesized) -> None:
    """Its key may be used by Secrets Manager alone, and for this secret alone."""
    decrypting = [
        statement
        for statement in private.statements(private.role_of("start_session"))
        if "kms:Decrypt" in statement["Action"]
    ]
    assert {statement["Condition"]["StringEquals"]["kms:EncryptionContext:SecretARN"] for statement in decrypting} == {
        DATABASE_SECRET_ARN,
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:location-a1B2c3",
    }
    for statement in decrypting:
        assert statement["Resource"] == ["arn:aws:kms:eu-west-1:123456789012:key/*"]
        assert statement["Condition"]["StringEquals"]["kms:ViaService"] == "secretsmanager.eu-west-1.amazonaws.com"


def test_a_location_key_that_is_given_is_not_made_again(private: Synthesized) -> None:
    made = private.resources("AWS::SecretsManager::Secret").values()
    assert not [secret for secret in made if "GenerateSecretString" in secret["Properties"]]
    assert private.variables("start_session")["LOCATION_SECRET_ARN"].endswith("location-a1B2c3")


def test_functions_enter_the_network_of_a_private_database_and_its_group_lets_them_in(private: Synthesized) -> None:
    [group] = private.resources("AWS::EC2::SecurityGroup")
    for function in private.functions.values():
        assert function["Properties"]["VpcConfig"] == {
            "SubnetIds": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
            "SecurityGroupIds": [{"Fn::GetAtt": [group, "GroupId"]}],
            "Ipv6AllowedForDualStack": False,
        }
    opened = only(private, "AWS::EC2::SecurityGroupIngress")
    assert (opened["GroupId"], opened["FromPort"], opened["ToPort"]) == ("sg-0123456789abcdef0", 5432, 5432)
    assert opened["SourceSecurityGroupId"] == {"Fn::GetAtt": [group, "GroupId"]}
    assert not private.resources("AWS::EC2::VPC")


def test_a_public_database_needs_no_network(local: Synthesized) -> None:
    assert not [name for name in local.template["Resources"].values() if name["Type"].startswith("AWS::EC2::")]
    assert not [name for name, function in local.functions.items() if "VpcConfig" in function["Properties"]]


# Our own


def test_every_function_is_in_our_network_in_both_zones(aws: Synthesized) -> None:
    for function in aws.functions.values():
        network = function["Properties"]["VpcConfig"]
        assert network["Ipv6AllowedForDualStack"] is True
        subnets = [aws.template["Resources"][subnet["Ref"]]["Properties"] for subnet in network["SubnetIds"]]
        assert len({json.dumps(subnet["AvailabilityZone"]) for subnet in subnets}) == 2
        assert all(subnet["AssignIpv6AddressOnCreation"] for subnet in subnets)


def test_functions_get_out_by_ipv6_and_nobody_gets_in(aws: Synthesized) -> None:
    assert not aws.resources("AWS::EC2::NatGateway")
    assert not aws.resources("AWS::EC2::InternetGateway")
    [gateway] = aws.resources("AWS::EC2::EgressOnlyInternetGateway")
    for route in aws.resources("AWS::EC2::Route").values():
        assert route["Properties"]["DestinationIpv6CidrBlock"] == "::/0"
        assert route["Properties"]["EgressOnlyInternetGatewayId"] == {"Ref": gateway}
    assert only(aws, "AWS::EC2::VPCEndpoint")["VpcEndpointType"] == "Gateway"
    assert aws.variables("sweep")["AWS_USE_DUALSTACK_ENDPOINT"] == "true"


def test_the_way_out_is_there_before_the_migration_needs_it(aws: Synthesized) -> None:
    waited_for = set(aws.functions["migrate_database"]["DependsOn"])
    assert set(aws.resources("AWS::EC2::Route")) <= waited_for
    assert set(aws.resources("AWS::RDS::DBInstance")) <= waited_for


def test_only_functions_reach_the_database(aws: Synthesized) -> None:
    functions = aws.functions["sweep"]["Properties"]["VpcConfig"]["SecurityGroupIds"]
    proxies = only(aws, "AWS::RDS::DBProxy")["VpcSecurityGroupIds"]
    sources = [
        rule["Properties"]["SourceSecurityGroupId"] for rule in aws.resources("AWS::EC2::SecurityGroupIngress").values()
    ]
    assert all(source in functions + proxies for source in sources)
    for group in aws.resources("AWS::EC2::SecurityGroup").values():
        assert "SecurityGroupIngress" not in group["Properties"]


def test_lambda_may_attach_a_function_and_its_code_may_not(aws: Synthesized) -> None:
    for name in aws.functions:
        statements = [each for each in aws.statements(aws.role_of(name)) if each["Action"][0].startswith("ec2:")]
        allowed = {action for each in statements if each["Effect"] == "Allow" for action in each["Action"]}
        [denied] = [each for each in statements if each["Effect"] == "Deny"]
        assert set(denied["Action"]) == allowed
        assert readable(denied["Condition"]["ArnEquals"]["lambda:SourceFunctionArn"]).endswith(
            f":function:AfterHours-prod-{name}"
        )


def test_the_cluster_is_encrypted_quiet_and_asks_for_tls(aws: Synthesized, dev: Synthesized) -> None:
    for synthesized in (aws, dev):
        cluster = only(synthesized, "AWS::RDS::DBCluster")
        assert cluster["StorageEncrypted"] is True
        assert cluster["EnableIAMDatabaseAuthentication"] is True
        assert cluster["ManageMasterUserPassword"] is True
        parameters = only(synthesized, "AWS::RDS::DBClusterParameterGroup")["Parameters"]
        assert parameters["rds.force_ssl"] == "1"
        assert parameters["log_min_error_statement"] == "panic"
        assert parameters["log_error_verbosity"] == "terse"
        assert parameters["log_statement"] == "none"
        for instance in synthesized.resources("AWS::RDS::DBInstance").values():
            assert instance["Properties"]["PubliclyAccessible"] is False


def test_people_run_sql_through_the_data_api_and_each_use_is_told(aws: Synthesized) -> None:
    [cluster] = aws.resources("AWS::RDS::DBCluster")
    assert only(aws, "AWS::RDS::DBCluster")["EnableHttpEndpoint"] is True
    [selector] = only(aws, "AWS::CloudTrail::Trail")["AdvancedEventSelectors"]
    fields = {each["Field"]: each["Equals"] for each in selector["FieldSelectors"]}
    assert (fields["eventCategory"], fields["resources.type"]) == (["Data"], ["AWS::RDS::DBCluster"])
    assert readable(fields["resources.ARN"][0]).endswith(f":cluster:<{cluster}>")
    [rule] = [
        each["Properties"] for name, each in aws.resources("AWS::Events::Rule").items() if name.startswith("SqlUse")
    ]
    assert "ExecuteStatement" in rule["EventPattern"]["detail"]["eventName"]
    assert readable(rule["EventPattern"]["detail"]["requestParameters"]["resourceArn"][0]).endswith(f"<{cluster}>")
    topic = rule["Targets"][0]["Arn"]["Ref"]
    allowed = [
        statement["Principal"]
        for policy in aws.resources("AWS::SNS::TopicPolicy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if {"Ref": topic} in policy["Properties"]["Topics"] and statement["Effect"] == "Allow"
    ]
    assert {"Service": "events.amazonaws.com"} in allowed
    assert readable(aws.template["Outputs"]["DatabaseSecretArn"]["Value"]) == f"<{cluster}.MasterUserSecret.SecretArn>"


def test_production_survives_a_zone_and_its_own_deletion(aws: Synthesized) -> None:
    [cluster] = aws.resources("AWS::RDS::DBCluster").values()
    assert cluster["Properties"]["DeletionProtection"] is True
    assert cluster["DeletionPolicy"] == cluster["UpdateReplacePolicy"] == "Snapshot"
    assert cluster["Properties"]["BackupRetentionPeriod"] >= 7
    assert len(aws.resources("AWS::RDS::DBInstance")) == 2


def test_the_database_is_kept_up_at_noon_where_it_is(aws: Synthesized) -> None:
    """By itself RDS chooses hours at night, which is when members are live."""
    cluster, instances = only(aws, "AWS::RDS::DBCluster"), aws.resources("AWS::RDS::DBInstance").values()
    [windows] = [each for name, each in aws.template["Mappings"].items() if name.startswith("ClusterNoon")]
    authorities = Path("layers/after_hours/python/after_hours/foundation/root-certificates").glob("*-*.pem")
    assert set(windows) == {path.stem for path in authorities}
    assert windows["eu-west-1"] == {"backup": "11:00-12:00", "maintenance": "tue:12:00-tue:13:00"}
    assert windows["us-west-2"] == {"backup": "19:00-20:00", "maintenance": "tue:20:00-tue:21:00"}
    assert windows["ap-southeast-2"] == {"backup": "01:00-02:00", "maintenance": "tue:02:00-tue:03:00"}
    for properties, name, window in (
        (cluster, "PreferredBackupWindow", "backup"),
        (cluster, "PreferredMaintenanceWindow", "maintenance"),
        *((instance["Properties"], "PreferredMaintenanceWindow", "maintenance") for instance in instances),
    ):
        assert properties[name]["Fn::FindInMap"][1:] == [{"Ref": "AWS::Region"}, window]


def test_the_database_stays_on_its_version_until_somebody_changes_it(aws: Synthesized) -> None:
    """One with long-term support: RDS would take it to a minor version without."""
    assert only(aws, "AWS::RDS::DBCluster")["EngineVersion"] == "17.7"
    for kind in ("AWS::RDS::DBCluster", "AWS::RDS::DBInstance"):
        for resource in aws.resources(kind).values():
            assert resource["Properties"]["AutoMinorVersionUpgrade"] is False


def test_no_statement_is_kept_with_what_members_sent_in_it(aws: Synthesized) -> None:
    assert only(aws, "AWS::RDS::DBCluster")["DatabaseInsightsMode"] == "standard"
    for instance in aws.resources("AWS::RDS::DBInstance").values():
        assert instance["Properties"]["EnablePerformanceInsights"] is False


def test_the_log_of_the_database_is_exported_and_forgotten(aws: Synthesized) -> None:
    [cluster] = aws.resources("AWS::RDS::DBCluster")
    assert only(aws, "AWS::RDS::DBCluster")["EnableCloudwatchLogsExports"] == ["postgresql"]
    [(group, properties)] = [
        (name, each["Properties"])
        for name, each in aws.resources("AWS::Logs::LogGroup").items()
        if "/aws/rds/cluster/" in str(each["Properties"].get("LogGroupName"))
    ]
    assert properties["LogGroupName"] == {"Fn::Join": ["", ["/aws/rds/cluster/", {"Ref": cluster}, "/postgresql"]]}
    for instance in aws.resources("AWS::RDS::DBInstance").values():
        assert group in instance["DependsOn"], "else RDS makes it first, and keeps it for ever"


def test_a_failover_and_the_like_are_tickets(aws: Synthesized, dev: Synthesized) -> None:
    told = {
        each["Properties"]["SourceType"]: each["Properties"]
        for each in aws.resources("AWS::RDS::EventSubscription").values()
    }
    assert told["db-cluster"]["SourceIds"] == [{"Ref": name} for name in aws.resources("AWS::RDS::DBCluster")]
    assert told["db-instance"]["SourceIds"] == [{"Ref": name} for name in aws.resources("AWS::RDS::DBInstance")]
    for properties in told.values():
        assert {"failure", "maintenance"} <= set(properties["EventCategories"])
        assert aws.template["Resources"][properties["SnsTopicArn"]["Ref"]]["Properties"]["DisplayName"].endswith(
            "ticket"
        )
    assert not dev.resources("AWS::RDS::EventSubscription")


def test_a_cluster_that_nobody_uses_costs_nothing(dev: Synthesized) -> None:
    """It pauses when nobody is connected: not a sweep every minute, nor a warm function's idle connection."""
    [cluster] = dev.resources("AWS::RDS::DBCluster").values()
    scaling = cluster["Properties"]["ServerlessV2ScalingConfiguration"]
    assert scaling["MinCapacity"] == 0
    idle = int(only(dev, "AWS::RDS::DBClusterParameterGroup")["Parameters"]["idle_session_timeout"])
    assert idle / 1000 < scaling["SecondsUntilAutoPause"] == 300
    assert only(dev, "AWS::Events::Rule")["ScheduleExpression"] == "rate(1 hour)"
    assert cluster["Properties"]["DeletionProtection"] is False
    assert not dev.resources("AWS::RDS::DBProxy")


def test_functions_log_in_through_the_proxy_with_tokens_of_iam(aws: Synthesized) -> None:
    [proxy] = aws.resources("AWS::RDS::DBProxy")
    properties = only(aws, "AWS::RDS::DBProxy")
    assert properties["DefaultAuthScheme"] == "IAM_AUTH"
    assert properties["RequireTLS"] is True
    assert properties["DBProxyName"] == "afterhours-prod"
    assert told(aws, "get_session") == {
        "DATABASE_HOST": f"<{proxy}.Endpoint>",
        "DATABASE_PORT": "5432",
        "DATABASE_NAME": "after_hours",
        "DATABASE_IAM_USER": "after_hours_app",
    }
    for name in set(aws.functions) - {"migrate_database"}:
        [resource] = _connecting_to(aws, aws.role_of(name))
        assert resource.endswith(f":dbuser:<{proxy}.DBProxyArn>[6]/after_hours_app")


def test_the_proxy_may_log_in_as_those_that_it_serves(aws: Synthesized) -> None:
    """The CDK gives its role no rights, and without them it lets nobody through."""
    [cluster] = aws.resources("AWS::RDS::DBCluster")
    role = only(aws, "AWS::RDS::DBProxy")["RoleArn"]["Fn::GetAtt"][0]
    [resource] = _connecting_to(aws, role)
    assert resource.endswith(f":dbuser:<{cluster}.DBClusterResourceId>/after_hours_app")


def test_functions_log_in_to_the_cluster_itself_where_there_is_no_proxy(dev: Synthesized) -> None:
    [cluster] = dev.resources("AWS::RDS::DBCluster")
    assert told(dev, "get_session")["DATABASE_HOST"] == f"<{cluster}.Endpoint.Address>"
    [resource] = _connecting_to(dev, dev.role_of("get_session"))
    assert resource.endswith(f":dbuser:<{cluster}.DBClusterResourceId>/after_hours_app")


def test_migrations_go_past_the_proxy_as_the_owner_and_make_the_host_s_tables(aws: Synthesized) -> None:
    [cluster] = aws.resources("AWS::RDS::DBCluster")
    assert told(aws, "migrate_database") == {
        "DATABASE_HOST": f"<{cluster}.Endpoint.Address>",
        "DATABASE_PORT": "5432",
        "DATABASE_NAME": "after_hours",
        "DATABASE_SECRET_ARN": f"<{cluster}.MasterUserSecret.SecretArn>",
        "DATABASE_APP_ROLE": "after_hours_app",
        "DATABASE_HOST_TABLES": "create",
    }
    assert _connecting_to(aws, aws.role_of("migrate_database")) == []


def test_a_cluster_is_made_from_a_snapshot_when_its_row_says_so(restored: Synthesized) -> None:
    cluster = only(restored, "AWS::RDS::DBCluster")
    assert cluster["SnapshotIdentifier"] == SNAPSHOT
    assert not {"MasterUsername", "DatabaseName"} & cluster.keys(), "RDS refuses them beside a snapshot"
    assert cluster["ManageMasterUserPassword"] is True


def test_nat_is_the_way_out_should_a_service_lack_ipv6(nat: Synthesized) -> None:
    assert len(nat.resources("AWS::EC2::NatGateway")) == 1
    assert "AWS_USE_DUALSTACK_ENDPOINT" not in nat.variables("sweep")
    assert nat.functions["sweep"]["Properties"]["VpcConfig"]["Ipv6AllowedForDualStack"] is False


@pytest.mark.parametrize("stage", STAGES.values())
def test_the_database_has_the_connections_that_functions_may_ask_for(stage: stages.Stage) -> None:
    assert stage.reserved(options.FUNCTIONS) + 20 <= 0.8 * stage.database.max_connections


@pytest.mark.parametrize(
    ("database", "leave", "given"),
    [
        (STAGES["staging"].database, "4 ACU", {}),  # 823 connections
        (ExistingDatabase(max_connections=823), "the existing database's", {"databaseSecretArn": DATABASE_SECRET_ARN}),
    ],
)
def test_a_row_whose_functions_could_ask_for_more_is_refused(
    monkeypatch: pytest.MonkeyPatch, database: Cluster | ExistingDatabase, leave: str, given: dict[str, str]
) -> None:
    greedy = Concurrency(polled=500, endpoint=30, expire_session=40, process_photo=20, sweep=2)
    row = replace(STAGES["staging"], concurrency=greedy, database=database)
    monkeypatch.setitem(STAGES, "staging", row)
    reserved = row.reserved(options.FUNCTIONS)
    missing = reserved + 20 - 658  # four fifths of 823
    with pytest.raises(options.Refused, match=rf"may run {reserved} times at once, .*: {missing} more than {leave}"):
        options.read({"stage": "staging", **given})


def test_a_smallest_capacity_below_one_caps_connections() -> None:
    def cluster(min_acu: float) -> Cluster:
        return Cluster(min_acu=min_acu, max_acu=16, reader=False, proxy=False, protected=False, backup_days=1)

    assert (cluster(0.5).max_connections, cluster(1).max_connections) == (2000, 3360)


def _connecting_to(synthesized: Synthesized, role: str) -> list[Any]:
    return [
        resource
        for statement in synthesized.statements(role)
        if statement["Action"] == ["rds-db:connect"]
        for resource in statement["Resource"]
    ]
