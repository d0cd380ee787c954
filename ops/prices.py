"""What AWS and Cloudflare charge, and what AWS allows, as far as this backend uses it.

The figures are for us-east-1, without free tiers, discounts and taxes. `noted` is when a figure was copied from the
published prices; no bill has been compared with it yet. Do not trust a figure that is older than a year.
"""

from dataclasses import dataclass
from datetime import date

_NOTED = date(2026, 11, 25)


@dataclass(frozen=True)
class Price:
    """`dollars` for so many `units`."""

    dollars: float
    units: int
    of: str
    noted: date = _NOTED

    @property
    def each(self) -> float:
        return self.dollars / self.units


@dataclass(frozen=True)
class Quota:
    """What an account may use at once, or in a second; `raised_by` says what moves it."""

    limit: float
    of: str
    raised_by: str
    noted: date = _NOTED


MILLION = 1_000_000
HOURS_A_MONTH = 730

# Read again, at that date, on a page of AWS, of Cloudflare or of somebody who compares prices.
HTTP_API = Price(1.00, MILLION, "requests to an HTTP API")
TRANSFER = Price(0.09, 1, "GB to the internet")
LAMBDA_REQUESTS = Price(0.20, MILLION, "invocations")
LAMBDA_TIME = Price(13.3334, MILLION, "GB-seconds on arm64")
SCHEDULER = Price(1.00, MILLION, "invocations by EventBridge Scheduler")
EVENTS = Price(1.00, MILLION, "events on a bus of one's own")
ACU = Price(0.12, 1, "ACU-hours of Aurora Serverless v2")
DATABASE_STORAGE = Price(0.10, 1, "GB-months of Aurora")
R2_WRITES = Price(4.50, MILLION, "objects written to R2")
R2_READS = Price(0.36, MILLION, "objects read from R2")

# Written down from price lists and not found again: to be compared with the first bill.
PROXY = Price(0.015, 1, "ACU-hours behind RDS Proxy, at least 8 in each hour")
DATABASE_IO = Price(0.20, MILLION, "I/O of Aurora's storage")
LOGS = Price(0.50, 1, "GB written to CloudWatch Logs")
METRICS = Price(0.30, 1, "metrics of one's own in a month")
ALARMS = Price(0.10, 1, "alarms in a month")
DASHBOARD = Price(3.00, 1, "dashboards in a month")
SECRETS = Price(0.40, 1, "secrets in a month")
UPLOADS = Price(5.00, MILLION, "objects put into S3")

API_RATE = Quota(10_000, "requests a second to the account's APIs", "Service Quotas")
LAMBDA_AT_ONCE = Quota(
    1_000, "functions at once in the account", "Service Quotas, then `concurrency` in the stage's row"
)
# "Quotas for Amazon EventBridge Scheduler", its User Guide, for the large regions. Others make 250 in a second.
SCHEDULES_MADE = Quota(5_000, "schedules made in a second", "Service Quotas")
SCHEDULES_FIRED = Quota(1_000, "schedules fired in a second", "Service Quotas")
SCHEDULES_HELD = Quota(10 * MILLION, "schedules at a time", "Service Quotas")
EVENTS_PUT = Quota(10_000, "calls of PutEvents in a second", "Service Quotas")
