-- The five database roles of Signalbox (DESIGN: isolation). Idempotent; run by `signalbox migrate`
-- as a login that may create roles, or once by a database administrator.
--
--   signalbox_owner     owns every object; used for migrations only
--   signalbox_app       reads and writes one tenant's rows, under row-level security
--   signalbox_snapshot  reads the named columns that the request path caches
--   signalbox_meter     inserts records, rollups and ledger rows; executes the admission functions
--   signalbox_operator  crosses tenants; every use stands in the audit trail
DO $roles$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['signalbox_owner', 'signalbox_app', 'signalbox_snapshot',
                                'signalbox_meter', 'signalbox_operator'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            -- LOGIN without a password: usable over the embedded server's private socket; elsewhere
            -- the connecting login becomes the role through its membership.
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS', name);
        END IF;
    END LOOP;
END
$roles$;
