"""Each region's noon, for maintenance of the database: AWS's default is the night, when most sessions are live."""

from aws_cdk import Aws, CfnMapping
from constructs import Construct

_NOON = 12
# The regions for which the layer has RDS's certificate authorities, with their UTC offset in winter, in hours.
_HOURS_FROM_UTC = {
    "af-south-1": 2,
    "ap-east-1": 8,
    "ap-northeast-1": 9,
    "ap-northeast-2": 9,
    "ap-northeast-3": 9,
    "ap-south-1": 5,
    "ap-south-2": 5,
    "ap-southeast-1": 8,
    "ap-southeast-2": 10,
    "ap-southeast-3": 7,
    "ap-southeast-4": 10,
    "ca-central-1": -5,
    "eu-central-1": 1,
    "eu-central-2": 1,
    "eu-north-1": 1,
    "eu-south-1": 1,
    "eu-south-2": 1,
    "eu-west-1": 0,
    "eu-west-2": 0,
    "eu-west-3": 1,
    "me-central-1": 4,
    "me-south-1": 3,
    "sa-east-1": -3,
    "us-east-1": -5,
    "us-east-2": -5,
    "us-west-1": -8,
    "us-west-2": -8,
}


class Noon(CfnMapping):
    """RDS's windows in UTC by the region of the deployment: backup at eleven, maintenance at noon."""

    def __init__(self, scope: Construct) -> None:
        super().__init__(scope, "Noon", mapping={region: _windows(hours) for region, hours in _HOURS_FROM_UTC.items()})

    @property
    def backup(self) -> str:
        return self.find_in_map(Aws.REGION, "backup")

    @property
    def maintenance(self) -> str:
        return self.find_in_map(Aws.REGION, "maintenance")


def _windows(hours_from_utc: int) -> dict[str, str]:
    noon = _NOON - hours_from_utc  # from 2 to 20, so no window crosses midnight
    return {"backup": f"{noon - 1:02}:00-{noon:02}:00", "maintenance": f"tue:{noon:02}:00-tue:{noon + 1:02}:00"}
