"""The secrets that functions read, each with its own grant: existing, generated here, or filled in by ops."""

import json
from typing import cast

from aws_cdk import Acknowledgment, ArnFormat, DefaultStackSynthesizer, RemovalPolicy, SecretValue, Stack, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.endpoints import Secret
from infra.options import Options

_LOCATION_KEY_LENGTH = 64
_CHANGES = (
    "CancelRotateSecret",
    "DeleteResourcePolicy",
    "DeleteSecret",
    "PutResourcePolicy",
    "PutSecretValue",
    "RotateSecret",
    "UpdateSecret",
    "UpdateSecretVersionStage",
)


class ExistingSecret:
    """An existing secret, perhaps encrypted with a customer managed key."""

    def __init__(self, scope: Construct, construct_id: str, arn: str) -> None:
        self.arn = secretsmanager.Secret.from_secret_complete_arn(scope, construct_id, arn).secret_arn
        parts = Stack.of(scope).split_arn(arn, ArnFormat.COLON_RESOURCE_NAME)
        self._region = str(parts.region)
        self._keys = f"arn:{parts.partition}:kms:{parts.region}:{parts.account}:key/*"

    def allow_reading(self, function: lambda_.Function, variable: str) -> None:
        """Let the function read the secret, and set the environment variable with its ARN."""
        allow_reading(function, variable, self.arn)
        function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["kms:Decrypt"],
                resources=[self._keys],
                conditions={
                    "StringEquals": {
                        "kms:ViaService": f"secretsmanager.{self._region}.amazonaws.com",
                        "kms:EncryptionContext:SecretARN": self.arn,
                    }
                },
            )
        )
        Validations.of(cast("iam.Role", function.role)).acknowledge(
            Acknowledgment(
                id=f"AwsSolutions-IAM5[Resource::{self._keys}]",
                reason="The secret may be encrypted with any key, which decrypts nothing but this secret for us",
            )
        )


class Secrets(Construct):
    """The secrets of this backend. One is generated, ops fill in two; an option can name an existing one instead."""

    def __init__(self, scope: Construct, options: Options) -> None:
        super().__init__(scope, "Secrets")
        self._secrets = {
            Secret.JWT: self._existing("Jwt", options.jwt_secret_arn)
            or self._completed_by_ops("Jwt", "jwtSecret and, while a key is replaced, previousJwtSecret"),
            Secret.LOCATION: self._existing("Location", options.location_secret_arn)
            or self._location(emulated=options.stage.emulated),
            Secret.R2: self._existing("R2", options.r2_secret_arn)
            or self._completed_by_ops("R2", "endpointUrl, bucket, accessKeyId, secretAccessKey"),
        }

    def arn(self, secret: Secret) -> str:
        found = self._secrets[secret]
        return found.arn if isinstance(found, ExistingSecret) else found.secret_arn

    def allow_reading(self, function: lambda_.Function, *secrets: Secret) -> None:
        """Let the function read these secrets, and set the environment variables with their ARNs."""
        for secret in secrets:
            found = self._secrets[secret]
            if isinstance(found, ExistingSecret):
                found.allow_reading(function, secret.value)
            else:
                allow_reading(function, secret.value, found.secret_arn)

    def _existing(self, name: str, arn: str | None) -> ExistingSecret | None:
        return ExistingSecret(self, name, arn) if arn else None

    def _completed_by_ops(self, name: str, content: str) -> secretsmanager.Secret:
        """Make a secret with the content `{}`, until ops put the real one in. Until then, errors name what is missing.

        Never change the text `{}`: CloudFormation would overwrite the content that ops have put in.
        """
        secret = secretsmanager.Secret(
            self,
            name,
            description=f"After Hours: {content} (put in by ops)",
            secret_string_value=SecretValue.unsafe_plain_text("{}"),
        )
        _explain_no_rotation(secret, "It is made elsewhere, and ops put the new one in when it is replaced there")
        return secret

    def _location(self, *, emulated: bool) -> secretsmanager.Secret:
        """Make the location key. It stays when the stack is deleted: a new key would show members at other points.

        Never change `generate_secret_string`: CloudFormation would generate a new key.
        """
        secret = secretsmanager.Secret(
            self,
            "Location",
            description="After Hours: locationKey (generated; never to be replaced)",
            generate_secret_string=secretsmanager.SecretStringGenerator(
                secret_string_template=json.dumps({}),
                generate_string_key="locationKey",
                password_length=_LOCATION_KEY_LENGTH,
                exclude_punctuation=True,
            ),
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )
        _explain_no_rotation(secret, "A new key would show members at other points, and two points narrow a place down")
        if not emulated:  # the local AWS has no policies of secrets
            secret.add_to_resource_policy(_deny_changes(secret))
        return secret


def _deny_changes(secret: secretsmanager.Secret) -> iam.PolicyStatement:
    """Deny changes of the secret, and of this policy, to all but CloudFormation and one role made by hand.

    An administrator's mistake would move every member's point; docs/operations.md says what to do after a wrong write.
    """
    stack = Stack.of(secret)
    # The role that `cdk bootstrap` makes for CloudFormation.
    deploying = f"cdk-{DefaultStackSynthesizer.DEFAULT_QUALIFIER}-cfn-exec-role-{stack.account}-{stack.region}"
    roles = [f"{stack.stack_name}-location-key", deploying]
    return iam.PolicyStatement(
        effect=iam.Effect.DENY,
        principals=[iam.AnyPrincipal()],
        actions=[f"secretsmanager:{action}" for action in _CHANGES],
        resources=["*"],  # in a resource policy: the secret itself
        conditions={
            "ArnNotEquals": {
                "aws:PrincipalArn": [
                    stack.format_arn(service="iam", region="", resource="role", resource_name=role) for role in roles
                ]
            }
        },
    )


def allow_reading(function: lambda_.Function, variable: str, arn: str) -> None:
    """Let the function read a secret, and set the environment variable with its ARN."""
    function.add_environment(variable, arn)
    function.add_to_role_policy(iam.PolicyStatement(actions=["secretsmanager:GetSecretValue"], resources=[arn]))


def _explain_no_rotation(secret: secretsmanager.Secret, reason: str) -> None:
    Validations.of(secret).acknowledge(Acknowledgment(id="AwsSolutions-SMG4", reason=reason))
