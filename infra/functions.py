"""Makes all functions, with their runtime, layers, environment, logs and basic rights."""

from collections.abc import Iterable

from aws_cdk import Acknowledgment, Duration, Stack, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra import build
from infra.log_groups import log_group
from infra.network import Network
from infra.stages import Stage

_MEMORY_MB = 512
# Long enough for an answer while all services but the database are down.
_TIMEOUT = Duration.seconds(25)
# How many seconds glibc waits for a name server, and how often (resolv.conf(5)). No timeout in Python limits this, and
# the default is ten seconds for each look-up.
_RESOLVER = "timeout:1 attempts:2"

_PYTHON = "Python 3.13 throughout: development, byte-code and Lambda move together"
_ACKNOWLEDGED = {
    "AwsSolutions-L1": _PYTHON,
    "Serverless-LambdaLatestVersion": _PYTHON,
    "Serverless-LambdaDLQ": "Phones wait for endpoints; what nobody waits for has a destination on failure instead",
    "Serverless-LambdaTracing": "The stage says whether: production would pay more for traces of polls than for polls",
}


def function_name(scope: Construct, name: str) -> str:
    """Return the deployed name of `functions/<name>`, for use where a reference to the function would be circular."""
    return f"{Stack.of(scope).stack_name}-{name}"


class Functions(Construct):
    """Makes functions that share a layer, and gives each of them its own role.

    A new role may write to the function's own log group. A method that grants a further right also sets the
    environment variables for it, so that no function has a variable it does not use.
    """

    def __init__(self, scope: Construct, *, stage: Stage, network: Network | None) -> None:
        super().__init__(scope, "Functions")
        for rule, reason in _ACKNOWLEDGED.items():
            Validations.of(self).acknowledge(Acknowledgment(id=rule, reason=reason))
        self._stage = stage
        self._network = network
        self._target = build.HOST if stage.emulated else build.AWS
        self._architecture = (
            lambda_.Architecture.ARM_64 if self._target.architecture == "arm64" else lambda_.Architecture.X86_64
        )
        self._layers: dict[str, lambda_.LayerVersion] = {}
        self.made: dict[str, lambda_.Function] = {}

    def make(
        self,
        name: str,
        *,
        timeout: Duration = _TIMEOUT,
        folders: Iterable[str] = (),
        layers: Iterable[str] = (),
        memory_mb: int = _MEMORY_MB,
    ) -> lambda_.Function:
        """Make the function of `functions/<name>`.

        `folders` of the repository are copied into its asset; `layers` are beside the one that every function has.
        """
        scope = Construct(self, name)
        deployed_name = function_name(self, name)
        logs = log_group(scope, "Logs", self._stage, name=f"/aws/lambda/{deployed_name}")
        # A role of our own: the CDK's would come with a managed policy that may write to every log group.
        role = iam.Role(scope, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        logs.grant_write(role)
        self.made[name] = function = lambda_.Function(
            scope,
            "Function",
            function_name=deployed_name,
            architecture=self._architecture,
            runtime=lambda_.Runtime.PYTHON_3_13,
            handler="handler.handler",
            code=_code(build.function(name, self._target, folders=folders)),
            layers=[self._layer(layer) for layer in ("after_hours", *layers)],
            environment={"POWERTOOLS_SERVICE_NAME": Stack.of(self).stack_name, "RES_OPTIONS": _RESOLVER},
            memory_size=memory_mb,
            reserved_concurrent_executions=self._stage.concurrency.of(name) if self._stage.concurrency else None,
            timeout=timeout,
            role=role,
            log_group=logs,
            logging_format=lambda_.LoggingFormat.JSON,
            tracing=lambda_.Tracing.ACTIVE if self._stage.tracing else None,
        )
        if self._network:
            self._network.attach(function)
        return function

    def _layer(self, name: str) -> lambda_.LayerVersion:
        """Return the layer of `layers/<name>`, which the first call makes."""
        if name not in self._layers:
            self._layers[name] = lambda_.LayerVersion(
                self,
                f"{name}-layer",
                code=_code(build.layer(name, self._target)),
                compatible_architectures=[self._architecture],
                compatible_runtimes=[lambda_.Runtime.PYTHON_3_13],
                description=f"layers/{name}",
            )
        return self._layers[name]


def _code(built: build.Build) -> lambda_.AssetCode:
    """Return a build as an asset, whose hash is that of its sources: the same on every machine."""
    return lambda_.Code.from_asset(str(built.folder), asset_hash=built.digest)
