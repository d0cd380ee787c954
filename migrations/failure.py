class MigrationFailed(Exception):
    """PostgreSQL refused a statement, the connection broke, or the time was up.

    The message names the error, the table and the constraint. It does not contain PostgreSQL's own message, which may
    quote a whole row (a place, a text), since CloudFormation shows it to everyone who deploys.
    """
