"""Faults of the services that we depend on, and of ourselves. They know nothing of HTTP."""


class Fault(Exception):
    """A fault that no client caused. Its text is for the log alone: it never holds what a member sent, or a place."""


class ServiceUnavailable(Fault):
    """A service that we depend on is down or not set up. The call may be retried later."""


class DatabaseUnavailable(ServiceUnavailable):
    """PostgreSQL refused, and nothing was changed."""


class DatabaseUnreachable(DatabaseUnavailable):
    """No connection could be opened."""


class OutcomeUnknown(ServiceUnavailable):
    """The database got the statement and gave no answer: the change may have been made."""


class SecretsUnavailable(ServiceUnavailable): ...


class SecretRefused(SecretsUnavailable):
    """Secrets Manager answered, but did not give the secret: the function may have lost its right to read it."""


class SchedulerUnavailable(ServiceUnavailable): ...


class StorageUnavailable(ServiceUnavailable): ...


class EventBusUnavailable(ServiceUnavailable): ...


class Misconfigured(ServiceUnavailable):
    """A setting or a secret is missing, or not as it must be."""


class InternalError(Fault):
    """The code is at fault: PostgreSQL refused a statement, say."""
