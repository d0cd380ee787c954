"""The app secret: made by the stack with a location key, completed by ops with what only they know."""

import json

from aws_cdk import Acknowledgment, RemovalPolicy, Validations
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

_LOCATION_KEY_LENGTH = 64


def app_secret(scope: Construct) -> secretsmanager.Secret:
    """Make the app secret. It outlives the stack, for with another location key members would show at other points.

    Leave `generate_secret_string` as it is: when it changes, CloudFormation generates the value anew and throws away
    the location key together with all that ops have added.
    """
    secret = secretsmanager.Secret(
        scope,
        "AppSecret",
        description="After Hours: jwtSecret and r2 (put in by ops), locationKey (generated)",
        generate_secret_string=secretsmanager.SecretStringGenerator(
            secret_string_template=json.dumps({}),
            generate_string_key="locationKey",
            password_length=_LOCATION_KEY_LENGTH,
            exclude_punctuation=True,
        ),
        removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    )
    Validations.of(secret).acknowledge(
        Acknowledgment(
            id="AwsSolutions-SMG4",
            reason="The JWT secret is the main backend's and rotates with it; a new location key would move members",
        )
    )
    return secret
