"""A synthesized stack, and the questions that several tests ask of it.

The CDK is imported when a stack is synthesized: it starts a process of Node, and every process of `make test` imports
this module.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra import options, rights
from infra.options import Options

if TYPE_CHECKING:
    from infra.stack import AfterHours

DATABASE_SECRET_ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:vlvt/postgres-a1B2c3"
APP_DATABASE_SECRET_ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:vlvt/app-Z9y8X7"
SNAPSHOT = "arn:aws:rds:eu-west-1:123456789012:cluster-snapshot:afterhours-prod-restored"
_CDK_CONFIGURATION = Path(__file__).parents[2] / "cdk.json"

Resource = dict[str, Any]


@dataclass
class Synthesized:
    """A stack together with what was written for it."""

    stack: "AfterHours"
    directory: Path
    options: Options

    @cached_property
    def template(self) -> dict[str, Any]:
        template: dict[str, Any] = json.loads((self.directory / f"{self.stack.stack_name}.template.json").read_text())
        return template

    def resources(self, resource_type: str) -> dict[str, Resource]:
        """Logical id → resource, for every resource of a type such as `AWS::SQS::Queue`."""
        return {key: value for key, value in self.template["Resources"].items() if value["Type"] == resource_type}

    @cached_property
    def functions(self) -> dict[str, Resource]:
        """Short name → function, of those that are ours: the CDK adds one that runs the trigger."""
        return {
            resource["Properties"]["FunctionName"].removeprefix(f"{self.stack.stack_name}-"): resource
            for resource in self.resources("AWS::Lambda::Function").values()
            if "FunctionName" in resource["Properties"]
        }

    @property
    def layers(self) -> dict[str, Path]:
        """Name → folder of each layer."""
        return {
            layer["Properties"]["Description"].removeprefix("layers/"): self._asset(layer["Properties"]["Content"])
            for layer in self.resources("AWS::Lambda::LayerVersion").values()
        }

    def layers_of(self, function: str) -> list[str]:
        """The names of a function's layers."""
        layers = self.resources("AWS::Lambda::LayerVersion")
        return [
            layers[reference["Ref"]]["Properties"]["Description"].removeprefix("layers/")
            for reference in self.functions[function]["Properties"]["Layers"]
        ]

    def code(self, function: str) -> Path:
        return self._asset(self.functions[function]["Properties"]["Code"])

    def _asset(self, location: dict[str, Any]) -> Path:
        return self.directory / f"asset.{location['S3Key'].removesuffix('.zip')}"

    def statements(self, role_id: str) -> Iterator[dict[str, Any]]:
        """Yield what a role may do, with actions as a list and resources as readable strings."""
        return rights.statements(self.template, role_id)

    def variables(self, function: str) -> dict[str, Any]:
        """The environment of a function."""
        variables: dict[str, Any] = self.functions[function]["Properties"]["Environment"]["Variables"]
        return variables

    def role_of(self, function: str) -> str:
        role: str = self.functions[function]["Properties"]["Role"]["Fn::GetAtt"][0]
        return role


def synthesize(directory: Path, **context: str) -> Synthesized:
    """Synthesize the app into a folder, with these context options. Raises `Refused`."""
    from aws_cdk import App

    from infra.stack import AfterHours

    # The CDK's own validation is off: it only prints warnings, and it takes most of the time.
    configuration = json.loads(_CDK_CONFIGURATION.read_text())
    app = App(outdir=str(directory), context=configuration["context"], builtin_cloud_formation_validation=False)
    chosen = options.read(context)
    stack = AfterHours(app, chosen)
    app.synth()
    return Synthesized(stack, directory, chosen)
