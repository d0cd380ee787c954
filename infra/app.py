"""The CDK app: `npx cdk` runs it, as cdk.json says."""

import json
import os
import sys

from infra import options


def main() -> None:
    try:
        # The CDK's command line passes the context (`-c` and cdk.json), and the region of its credentials, to which it
        # deploys.
        context = json.loads(os.environ.get("CDK_CONTEXT_JSON", "{}"))
        chosen = options.read(context, region=os.environ.get("CDK_DEFAULT_REGION"))
    except options.Refused as refusal:
        sys.exit(str(refusal))
    _synthesize(chosen)


def _synthesize(chosen: options.Options) -> None:
    # Importing the CDK starts Node.js and takes ten seconds, so refused options do without it.
    from aws_cdk import App, Validations  # noqa: PLC0415
    from cdk_nag import AwsSolutionsChecks, ServerlessChecks  # noqa: PLC0415

    from infra.stack import AfterHours  # noqa: PLC0415

    app = App()
    AfterHours(app, chosen)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app), ServerlessChecks(app))
    app.synth()


if __name__ == "__main__":
    main()
