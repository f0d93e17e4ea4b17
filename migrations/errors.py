"""Errors of migrations.

MigrationFailed   a version could not be applied, or the roles could not be made
"""


class MigrationFailed(Exception):
    """A version could not be applied; the database stands at the version before it."""
