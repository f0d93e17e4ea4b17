"""How many of each thing a tenant can have, so that no list and no cache grows without end."""

from typing import Final

PROJECTS_MAX: Final = 1_000
MEMBERS_MAX: Final = 10_000
# Keys that are neither revoked nor expired.
API_KEYS_MAX: Final = 10_000
# Credentials that are not disabled.
CREDENTIALS_MAX: Final = 100
POLICY_NAMES_MAX: Final = 100
POLICY_BYTES_MAX: Final = 262_144
# What one listing returns at most, newest first.
LISTED_MAX: Final = 1_000
# Labelled prompts, by which a tenant's requests are told.
EXAMPLES_MAX: Final = 5_000
EXAMPLE_TASKS_MAX: Final = 100
