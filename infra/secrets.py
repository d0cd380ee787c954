"""The three secrets of ours, each for the functions that need it: one is made here, two are what only ops know."""

import json
from collections.abc import Iterable

from aws_cdk import Acknowledgment, RemovalPolicy, SecretValue, Validations
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.endpoints import Secret

_LOCATION_KEY_LENGTH = 64


class Secrets(Construct):
    """The secrets by the names of the variables that tell functions where they are."""

    def __init__(self, scope: Construct) -> None:
        super().__init__(scope, "Secrets")
        self._secrets = {
            Secret.JWT: self._completed_by_ops("Jwt", "jwtSecret and, while a key is replaced, previousJwtSecret"),
            Secret.LOCATION: self._location(),
            Secret.R2: self._completed_by_ops("R2", "endpointUrl, bucket, accessKeyId, secretAccessKey"),
        }

    def __getitem__(self, secret: Secret) -> secretsmanager.ISecret:
        return self._secrets[secret]

    def of(self, secrets: Iterable[Secret]) -> dict[str, secretsmanager.ISecret]:
        """Return secrets as `Functions.make` takes them: by variable."""
        return {secret.value: self[secret] for secret in secrets}

    def _completed_by_ops(self, name: str, content: str) -> secretsmanager.Secret:
        """Make a secret without content. It has `{}` in it, so that what is missing is named until ops put it in.

        Leave that as it is: when it changes, CloudFormation writes over what ops have put in.
        """
        secret = secretsmanager.Secret(
            self,
            name,
            description=f"After Hours: {content} (put in by ops)",
            secret_string_value=SecretValue.unsafe_plain_text("{}"),
        )
        _explain_no_rotation(secret, "It is made elsewhere, and ops put the new one in when it is replaced there")
        return secret

    def _location(self) -> secretsmanager.Secret:
        """Make the location key. It outlives the stack, for with another one members would show at other points.

        Leave `generate_secret_string` as it is: when it changes, CloudFormation generates the key anew.
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
        _explain_no_rotation(secret, "A new location key would show members at other points, and two points say more")
        return secret


def _explain_no_rotation(secret: secretsmanager.Secret, reason: str) -> None:
    Validations.of(secret).acknowledge(Acknowledgment(id="AwsSolutions-SMG4", reason=reason))
