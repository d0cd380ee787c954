"""Which database functions connect to, and how many connections they may ask for. The snapshots have the rest."""

from dataclasses import replace
from pathlib import Path

import pytest

from infra import options
from infra.stages import STAGES, Cluster, Concurrency, ExistingDatabase
from tests.support.synthesized import DATABASE_SECRET_ARN, Synthesized


def test_one_role_for_all_is_warned_of(public: Synthesized, private: Synthesized) -> None:
    def warnings(synthesized: Synthesized) -> list[str]:
        metadata = synthesized.stack.node.metadata
        return [entry.data for entry in metadata if "One role owns the tables and serves" in str(entry.data)]

    assert (len(warnings(public)), warnings(private)) == (1, [])


def test_only_functions_reach_the_database_and_nothing_reaches_them(aws: Synthesized) -> None:
    functions = aws.functions["sweep"]["Properties"]["VpcConfig"]["SecurityGroupIds"]
    [proxy] = aws.resources("AWS::RDS::DBProxy").values()
    rules = [rule["Properties"] for rule in aws.resources("AWS::EC2::SecurityGroupIngress").values()]
    assert all(
        rule["SourceSecurityGroupId"] in functions + proxy["Properties"]["VpcSecurityGroupIds"] for rule in rules
    )
    assert not [rule for rule in rules if rule["GroupId"] in functions]
    for group in aws.resources("AWS::EC2::SecurityGroup").values():
        assert "SecurityGroupIngress" not in group["Properties"]
    for kind in ("AWS::EC2::NatGateway", "AWS::EC2::InternetGateway"):
        assert not aws.resources(kind)


def test_functions_log_in_as_the_role_that_serves_and_only_migrations_as_the_owner(aws: Synthesized) -> None:
    for name in aws.functions:
        statements = [each for each in aws.statements(aws.role_of(name)) if each["Action"] == ["rds-db:connect"]]
        roles = [resource.rpartition("/")[2] for each in statements for resource in each["Resource"]]
        assert roles == ([] if name == "migrate_database" else ["after_hours_app"]), name


def test_the_database_is_kept_up_at_noon_where_it_is(aws: Synthesized) -> None:
    """By itself RDS chooses hours at night, which is when members are live."""
    [windows] = [each for name, each in aws.template["Mappings"].items() if name.startswith("ClusterNoon")]
    authorities = Path("layers/after_hours/python/after_hours/foundation/root-certificates").glob("*-*.pem")
    assert set(windows) == {path.stem for path in authorities}
    assert windows["eu-west-1"] == {"backup": "11:00-12:00", "maintenance": "tue:12:00-tue:13:00"}
    assert windows["ap-southeast-2"] == {"backup": "01:00-02:00", "maintenance": "tue:02:00-tue:03:00"}


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
