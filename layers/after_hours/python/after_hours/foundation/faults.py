"""Faults of the services that we depend on, and of our own code. `errors` maps them to HTTP."""


class Fault(Exception):
    """A fault that no client caused. Its text is for the log: it has nothing that a member sent, and no place."""


class ServiceUnavailable(Fault):
    """A service that we depend on is down or not set up. The call may be retried later."""


class DatabaseUnavailable(ServiceUnavailable):
    """PostgreSQL refused, and nothing was changed."""


class DatabaseUnreachable(DatabaseUnavailable):
    """No connection could be opened."""


class OutcomeUnknown(ServiceUnavailable):
    """The statement was sent and got no answer: the change may have been made."""


class SecretsUnavailable(ServiceUnavailable): ...


class SecretRefused(SecretsUnavailable):
    """Secrets Manager answered, but did not give the secret: the function may have lost its right to read it."""


class SchedulerUnavailable(ServiceUnavailable): ...


class StorageUnavailable(ServiceUnavailable): ...


class EventBusUnavailable(ServiceUnavailable): ...


class Misconfigured(ServiceUnavailable):
    """A setting or a secret is missing or invalid."""


class InternalError(Fault):
    """The code is at fault: PostgreSQL refused a statement, say."""
