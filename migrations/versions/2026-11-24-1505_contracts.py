"""What a tenant has agreed with a provider, declared for the credential that it holds for."""

from migrations.statements import script

revision = "0011"
down_revision = "0010"

CONTRACT = """
ALTER TABLE provider_credential ADD COLUMN contract jsonb;
GRANT UPDATE (contract) ON provider_credential TO signalbox_app;
GRANT SELECT (contract) ON provider_credential TO signalbox_snapshot;
"""


def upgrade() -> None:
    script(CONTRACT)
