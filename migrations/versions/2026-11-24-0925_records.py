"""Request records with their attempts, hourly rollups, the ledger and the dead-letter table.

Records and attempts are partitioned by month of their UUIDv7 request id, so that the primary key
stays unique over the whole table and old months can be dropped whole.
"""

from alembic import op

from migrations.statements import isolate_by_tenant, open_to, script

revision = "0006"
down_revision = "0005"

USAGE = """
    input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    cache_read_input_tokens bigint NOT NULL DEFAULT 0,
    cache_creation_input_tokens bigint NOT NULL DEFAULT 0,
    reasoning_output_tokens bigint NOT NULL DEFAULT 0,
"""

RECORDS = f"""
CREATE TABLE request_record (
    tenant_id uuid NOT NULL,
    request_id uuid NOT NULL,
    project_id uuid NOT NULL,
    api_key_id uuid NOT NULL,
    client_request_id text,
    operation_name text NOT NULL,
    surface text NOT NULL,
    is_streamed boolean NOT NULL,
    started_at timestamptz NOT NULL,
    request_model text NOT NULL,
    provider_name text,
    response_model text,
    task text,
    domain text,
    policy_name text,
    policy_version integer,
    rule text,
    -- Kept as it was written, for a page to show: taking it apart cost more than the rest of the row.
    decision json,
    tags text[] NOT NULL DEFAULT '{{}}',
    metadata jsonb NOT NULL DEFAULT '{{}}',
    end_user text,
    outcome text NOT NULL,
    http_status integer NOT NULL,
    error_type text,
    error_message text,
    finish_reason text,
    attempt_count integer NOT NULL,
    {USAGE}
    is_usage_estimated boolean NOT NULL DEFAULT false,
    is_simulated boolean NOT NULL DEFAULT false,
    provider_cost_nano_usd bigint,
    billed_nano_usd bigint NOT NULL,
    absorbed_nano_usd bigint NOT NULL DEFAULT 0,
    baseline_nano_usd bigint,
    baseline_model text,
    latency_ms integer NOT NULL,
    first_token_ms integer,
    overhead_ms real,
    posting_id uuid,
    PRIMARY KEY (tenant_id, request_id)
) PARTITION BY RANGE (request_id);

-- No foreign key to the record, which is written in the same transaction: the check was half the cost of
-- an attempt, and a referenced partition could not be dropped.
CREATE TABLE attempt (
    tenant_id uuid NOT NULL,
    request_id uuid NOT NULL,
    attempt_number integer NOT NULL,
    attempt_id uuid NOT NULL,
    provider_name text NOT NULL,
    model text NOT NULL,
    credential_id uuid,
    credential_owner text NOT NULL CHECK (credential_owner IN ('platform', 'tenant')),
    started_at timestamptz NOT NULL,
    outcome text NOT NULL,
    http_status integer,
    error_type text,
    error_message text,
    response_id text,
    latency_ms integer NOT NULL,
    first_token_ms integer,
    {USAGE}
    is_usage_estimated boolean NOT NULL DEFAULT false,
    is_simulated boolean NOT NULL DEFAULT false,
    price_version_id uuid,
    reserved_nano_usd bigint NOT NULL,
    provider_cost_nano_usd bigint,
    billed_nano_usd bigint NOT NULL,
    absorbed_nano_usd bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, request_id, attempt_number)
) PARTITION BY RANGE (request_id);

CREATE TABLE request_record_default PARTITION OF request_record DEFAULT;
CREATE TABLE attempt_default PARTITION OF attempt DEFAULT;

-- The smallest UUIDv7 of a moment: 48 bits of Unix milliseconds, then zeros.
CREATE FUNCTION uuid_floor(at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;

-- Making a partition locks its parent: behind a long report it gives up and leaves it to the next run,
-- months ahead of need, so that settling never queues behind it.
CREATE FUNCTION ensure_record_partitions(months_ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    starts timestamptz;
    partition text;
    made integer := 0;
    parent text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('signalbox.record_partitions'));
    FOR ahead IN 0..least(months_ahead, 24) LOOP
        starts := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => ahead)) AT TIME ZONE 'UTC';
        FOREACH parent IN ARRAY ARRAY['request_record', 'attempt'] LOOP
            partition := parent || to_char(starts AT TIME ZONE 'UTC', '_YYYY_MM');
            IF to_regclass(partition) IS NULL THEN
                EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', partition, parent,
                    uuid_floor(starts), uuid_floor(((starts AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC'));
                EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', partition);
                EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', partition);
                made := made + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;
SELECT ensure_record_partitions(2);
CREATE INDEX request_record_by_key ON request_record (tenant_id, api_key_id, request_id DESC);
CREATE INDEX request_record_by_outcome ON request_record (tenant_id, outcome, request_id DESC);
"""

# One row per hour, dimensions and writer; histograms count by the bounds of `billing.histogram`.
ROLLUPS = f"""
CREATE TABLE usage_rollup (
    tenant_id uuid NOT NULL,
    hour timestamptz NOT NULL,
    project_id uuid NOT NULL,
    api_key_id uuid NOT NULL,
    provider_name text NOT NULL,
    model text NOT NULL,
    task text NOT NULL,
    outcome text NOT NULL,
    writer_id uuid NOT NULL,
    request_count bigint NOT NULL,
    attempt_count bigint NOT NULL,
    {USAGE}
    provider_cost_nano_usd bigint NOT NULL,
    own_credential_cost_nano_usd bigint NOT NULL,
    billed_nano_usd bigint NOT NULL,
    absorbed_nano_usd bigint NOT NULL,
    baseline_nano_usd bigint NOT NULL,
    baselined_billed_nano_usd bigint NOT NULL,
    unpriced_count bigint NOT NULL,
    latency_histogram bigint[] NOT NULL,
    first_token_histogram bigint[] NOT NULL,
    PRIMARY KEY (tenant_id, hour, project_id, api_key_id, provider_name, model, task, outcome, writer_id)
) WITH (fillfactor = 70);  -- room for heap-only updates: the row of the running hour changes with every batch

-- A histogram ends with the last bucket that counted. Most of `b` is zeros: they are passed over.
CREATE FUNCTION histogram_add(a bigint[], b bigint[]) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF cardinality(b) > cardinality(a) THEN
        a := a || array_fill(0::bigint, ARRAY[cardinality(b) - cardinality(a)]);
    END IF;
    FOR bucket IN 1..cardinality(b) LOOP
        IF b[bucket] <> 0 THEN
            a[bucket] := a[bucket] + b[bucket];
        END IF;
    END LOOP;
    RETURN a;
END
$$;
CREATE AGGREGATE histogram_sum(bigint[]) (SFUNC = histogram_add, STYPE = bigint[], INITCOND = '{{}}');
"""

# Double entry: debits positive, credits negative, a posting sums to zero in its currency.
LEDGER = """
CREATE TABLE ledger_posting (
    tenant_id uuid NOT NULL,
    posting_id uuid NOT NULL,
    currency text NOT NULL CHECK (currency = upper(currency) AND char_length(currency) = 3),
    source text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, posting_id)
);

CREATE TABLE ledger_entry (
    tenant_id uuid NOT NULL,
    posting_id uuid NOT NULL,
    account text NOT NULL CHECK (account IN
        ('accrued_usage', 'revenue', 'provider_cost', 'provider_payable', 'absorbed')),
    amount_nano_usd bigint NOT NULL,
    PRIMARY KEY (tenant_id, posting_id, account)
);

-- Also what a foreign key would check, once for a statement and not for each entry: that cost more than the entries.
CREATE FUNCTION entries_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added GROUP BY tenant_id, posting_id HAVING sum(amount_nano_usd) <> 0) THEN
        RAISE EXCEPTION 'ledger entries of a posting must sum to zero' USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (SELECT FROM added a WHERE NOT EXISTS (
            SELECT FROM ledger_posting p WHERE p.tenant_id = a.tenant_id AND p.posting_id = a.posting_id)) THEN
        RAISE EXCEPTION 'ledger entries need a posting' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END
$$;
-- Entries of a posting arrive in one statement; the primary key refuses a later addition to an account.
CREATE TRIGGER entries_balance AFTER INSERT ON ledger_entry REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION entries_balance();
"""

# The truth about a request that was recorded as interrupted, because its process was taken for dead. The record
# stays; what the money and the sums differ by is posted and counted beside it.
ADJUSTMENTS = """
CREATE TABLE adjustment (
    tenant_id uuid NOT NULL,
    request_id uuid NOT NULL,
    record json NOT NULL,
    attempts json NOT NULL,
    billed_nano_usd bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, request_id)
);
"""

DEAD_LETTERS = """
CREATE TABLE dead_letter (
    tenant_id uuid NOT NULL,
    dead_letter_id uuid NOT NULL,
    kind text NOT NULL,
    payload jsonb NOT NULL,
    error text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, dead_letter_id)
);
"""

ISOLATED = (
    "request_record", "attempt", "usage_rollup", "ledger_posting", "ledger_entry", "adjustment", "dead_letter",
)  # fmt: skip
APPEND_ONLY = ("request_record", "attempt", "ledger_posting", "ledger_entry", "adjustment")


def upgrade() -> None:
    for statement in (RECORDS, ROLLUPS, LEDGER, ADJUSTMENTS, DEAD_LETTERS):
        script(statement)
    for table in ISOLATED:
        isolate_by_tenant(table)
        open_to("signalbox_meter", table)
        open_to("signalbox_operator", table, command="SELECT")
        op.execute(f"GRANT SELECT ON {table} TO signalbox_app, signalbox_operator")
        op.execute(f"GRANT INSERT, SELECT ON {table} TO signalbox_meter")
    op.execute("GRANT UPDATE, DELETE ON usage_rollup TO signalbox_meter")
    for table in ("request_record_default", "attempt_default"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.execute("REVOKE ALL ON FUNCTION ensure_record_partitions FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION ensure_record_partitions TO signalbox_meter")
