"""What tenants say of answers and measure of models, and what is folded of it for the request path.

Feedback and evaluations are written by their tenant. A job folds them into `quality_evidence`, which alone the
request path reads, so that a burst of feedback drops no view. Triggers note which tenants wait for that job.
"""

from alembic import op

from migrations.statements import isolate_by_tenant, open_to, script

revision = "0008"
down_revision = "0007"

TABLES = """
-- One row a request: saying something again replaces what was said.
CREATE TABLE feedback (
    tenant_id uuid NOT NULL REFERENCES tenant,
    request_id uuid NOT NULL,
    project_id uuid NOT NULL,
    api_key_id uuid NOT NULL,
    model text NOT NULL,
    task text NOT NULL,
    score double precision CHECK (score BETWEEN 0 AND 1),
    task_correction text,
    example text,
    comment text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, request_id)
);
CREATE INDEX feedback_by_time ON feedback (tenant_id, updated_at DESC, request_id DESC);

CREATE TABLE evaluation (
    tenant_id uuid NOT NULL REFERENCES tenant,
    evaluation_id uuid NOT NULL,
    name text NOT NULL,
    prompts_sha256 text NOT NULL,
    prompt_count integer NOT NULL CHECK (prompt_count > 0),
    created_by text NOT NULL,
    started_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, evaluation_id)
);
CREATE INDEX evaluation_by_time ON evaluation (tenant_id, started_at DESC);

CREATE TABLE evaluation_result (
    tenant_id uuid NOT NULL,
    evaluation_id uuid NOT NULL,
    subject text NOT NULL,
    -- A policy chooses its prompts, so only what every prompt was sent to says how good a model is.
    subject_kind text NOT NULL CHECK (subject_kind IN ('model', 'policy')),
    model text NOT NULL,
    task text NOT NULL,
    prompt_count integer NOT NULL CHECK (prompt_count >= 0),
    failed_count integer NOT NULL CHECK (failed_count >= 0),
    reached double precision NOT NULL CHECK (reached >= 0),
    cost_nano_usd bigint NOT NULL,
    unknown_cost_count integer NOT NULL,
    latency_ms_p50 integer,
    latency_ms_p95 integer,
    PRIMARY KEY (tenant_id, evaluation_id, subject, model, task),
    FOREIGN KEY (tenant_id, evaluation_id) REFERENCES evaluation ON DELETE CASCADE
);

CREATE TABLE quality_evidence (
    tenant_id uuid NOT NULL REFERENCES tenant,
    model text NOT NULL,
    task text NOT NULL,
    source text NOT NULL CHECK (source IN ('evaluation', 'feedback')),
    prompts double precision NOT NULL,
    reached double precision NOT NULL,
    folded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, model, task, source)
);

CREATE TABLE quality_pending (
    tenant_id uuid PRIMARY KEY REFERENCES tenant
);
"""

PENDING = """
CREATE POLICY pending ON quality_pending TO signalbox_owner USING (true) WITH CHECK (true);
CREATE FUNCTION await_quality_fold() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
BEGIN
    INSERT INTO quality_pending VALUES (coalesce(NEW.tenant_id, OLD.tenant_id)) ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION await_quality_fold FROM PUBLIC;
CREATE TRIGGER pending AFTER INSERT OR UPDATE ON feedback FOR EACH ROW EXECUTE FUNCTION await_quality_fold();
CREATE TRIGGER pending AFTER INSERT OR DELETE ON evaluation FOR EACH ROW EXECUTE FUNCTION await_quality_fold();
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON quality_evidence
    FOR EACH ROW EXECUTE FUNCTION announce_change();
"""

GRANTS = {
    "feedback": "INSERT, SELECT, UPDATE (score, task_correction, example, comment, updated_at)",
    "evaluation": "DELETE, INSERT, SELECT",
    "evaluation_result": "INSERT, SELECT",
    "quality_evidence": "DELETE, INSERT, SELECT, UPDATE (prompts, reached, folded_at)",
    "quality_pending": "DELETE, SELECT",
}


def upgrade() -> None:
    script(TABLES)
    for table, verbs in GRANTS.items():
        isolate_by_tenant(table)
        op.execute(f"GRANT {verbs} ON {table} TO signalbox_app")
    script(PENDING)
    open_to("signalbox_operator", "quality_pending", command="SELECT")
    op.execute("GRANT SELECT ON quality_pending TO signalbox_operator")
    open_to("signalbox_snapshot", "quality_evidence", command="SELECT")
    op.execute(
        "GRANT SELECT (tenant_id, model, task, source, prompts, reached) ON quality_evidence TO signalbox_snapshot"
    )
