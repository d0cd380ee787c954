"""The CDK app: `npx cdk` runs it, as cdk.json says."""

import os
import sys

from aws_cdk import App, Validations
from cdk_nag import AwsSolutionsChecks, ServerlessChecks

from infra import options
from infra.stack import AfterHours


def main() -> None:
    app = App()
    try:
        # The CDK's command line says where a deployment goes: the region of the credentials that it found.
        chosen = options.read(app.node.get_all_context(), region=os.environ.get("CDK_DEFAULT_REGION"))
    except options.Refused as refusal:
        sys.exit(str(refusal))
    AfterHours(app, chosen)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app), ServerlessChecks(app))
    app.synth()


if __name__ == "__main__":
    main()
