"""Rates of every token kind, and other rates for long input and for batches; usage that tells the kinds apart."""

from migrations.statements import script

revision = "0010"
down_revision = "0009"

# Tiers are read and written whole with their price, and never looked into by a query.
KINDS = """
ALTER TABLE price
    ADD COLUMN cache_creation_1h_nano_usd_per_million bigint CHECK (cache_creation_1h_nano_usd_per_million >= 0),
    ADD COLUMN reasoning_output_nano_usd_per_million bigint CHECK (reasoning_output_nano_usd_per_million >= 0),
    ADD COLUMN audio_input_nano_usd_per_million bigint CHECK (audio_input_nano_usd_per_million >= 0),
    ADD COLUMN audio_output_nano_usd_per_million bigint CHECK (audio_output_nano_usd_per_million >= 0),
    ADD COLUMN image_input_nano_usd_per_million bigint CHECK (image_input_nano_usd_per_million >= 0),
    ADD COLUMN image_output_nano_usd_per_million bigint CHECK (image_output_nano_usd_per_million >= 0),
    ADD COLUMN tiers json NOT NULL DEFAULT '[]';
ALTER TABLE attempt ADD COLUMN cache_creation_1h_input_tokens bigint NOT NULL DEFAULT 0;
"""


def upgrade() -> None:
    script(KINDS)
