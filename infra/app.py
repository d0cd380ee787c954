"""The CDK app: `npx cdk` runs it, as cdk.json says."""

import sys

from aws_cdk import App, Validations
from cdk_nag import AwsSolutionsChecks

from infra.database import MissingDatabaseSecretError
from infra.stack import AfterHours


def main() -> None:
    app = App()
    try:
        AfterHours(app, "AfterHours")
    except MissingDatabaseSecretError as error:
        sys.exit(str(error))
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()


if __name__ == "__main__":
    main()
