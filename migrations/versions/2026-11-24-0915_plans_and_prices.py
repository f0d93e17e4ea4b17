"""Plans, subscriptions and the price book.

Plans and prices are versions that are added and never edited. Money is integer nano-USD.
"""

from alembic import op

from migrations.statements import isolate_by_tenant, open_to, script

revision = "0004"
down_revision = "0003"

TABLES = """
CREATE TABLE plan (
    plan_id text NOT NULL,
    version integer NOT NULL,
    name text NOT NULL,
    monthly_price_nano_usd bigint NOT NULL CHECK (monthly_price_nano_usd >= 0),
    requests_per_minute integer NOT NULL CHECK (requests_per_minute > 0),
    request_burst integer NOT NULL CHECK (request_burst > 0),
    allowed_models text[] NOT NULL,
    features text[] NOT NULL,
    markup_ppm integer NOT NULL CHECK (markup_ppm >= 0),
    own_credential_fee_ppm integer NOT NULL CHECK (own_credential_fee_ppm >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (plan_id, version)
);

CREATE TABLE subscription (
    tenant_id uuid PRIMARY KEY REFERENCES tenant,
    plan_id text NOT NULL,
    plan_version integer NOT NULL,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (plan_id, plan_version) REFERENCES plan
);

CREATE TABLE price_version (
    price_version_id uuid PRIMARY KEY,
    source text NOT NULL,
    source_version text NOT NULL,
    effective_from timestamptz NOT NULL,
    imported_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (source, source_version, effective_from)
);

-- NULL is "unknown", never "free"; free is a zero that someone declared.
CREATE TABLE price (
    price_version_id uuid NOT NULL REFERENCES price_version,
    provider_name text NOT NULL,
    model text NOT NULL,
    input_nano_usd_per_million bigint NOT NULL CHECK (input_nano_usd_per_million >= 0),
    output_nano_usd_per_million bigint NOT NULL CHECK (output_nano_usd_per_million >= 0),
    cache_read_nano_usd_per_million bigint CHECK (cache_read_nano_usd_per_million >= 0),
    cache_creation_nano_usd_per_million bigint CHECK (cache_creation_nano_usd_per_million >= 0),
    per_request_nano_usd bigint NOT NULL DEFAULT 0 CHECK (per_request_nano_usd >= 0),
    context_tokens integer CHECK (context_tokens > 0),
    output_tokens_max integer CHECK (output_tokens_max > 0),
    is_declared_free boolean NOT NULL DEFAULT false,
    PRIMARY KEY (price_version_id, provider_name, model),
    CHECK (is_declared_free OR input_nano_usd_per_million + output_nano_usd_per_million + per_request_nano_usd > 0)
);
"""


def upgrade() -> None:
    script(TABLES)
    isolate_by_tenant("subscription")
    open_to("signalbox_snapshot", "subscription", command="SELECT")
    open_to("signalbox_operator", "subscription")
    op.execute("GRANT SELECT ON plan, price_version, price TO signalbox_app, signalbox_snapshot, signalbox_operator")
    op.execute("GRANT SELECT ON subscription TO signalbox_app, signalbox_snapshot, signalbox_operator")
    op.execute(
        "GRANT INSERT, UPDATE (plan_id, plan_version, changed_by, changed_at) ON subscription TO signalbox_operator"
    )
    op.execute("GRANT INSERT ON plan, price_version, price TO signalbox_operator")
    for table in ("plan", "subscription", "price_version"):
        op.execute(
            f"CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION announce_change()"
        )
    for table in ("plan", "price_version", "price"):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
