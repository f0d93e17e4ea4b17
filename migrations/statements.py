"""What version files say: run a script, put a table under tenant isolation, open it to a role.

Row-level security is enabled and forced, so that even the owner sees nothing without a policy.
"""

from alembic import op

# After a SET LOCAL ends the setting is '' and not NULL; ''::uuid would be an error, not "no rows".
TENANT_MATCHES = "tenant_id = nullif(current_setting('signalbox.tenant_id', true), '')::uuid"


def script(sql: str) -> None:
    """Run several statements in the version's transaction."""
    op.execute("SELECT 1")  # the adapter opens its transaction with the first statement it sees itself
    adapter = op.get_bind().connection.dbapi_connection
    assert adapter is not None
    adapter.run_async(lambda driver: driver.execute(sql))


def isolate_by_tenant(table: str) -> None:
    """Enable and force row security, and let `signalbox_app` reach its own tenant's rows only."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY tenant_isolation ON {table} TO signalbox_app "
        f"USING ({TENANT_MATCHES}) WITH CHECK ({TENANT_MATCHES})"
    )


def open_to(role: str, table: str, *, command: str = "ALL") -> None:
    """Let a cross-tenant role see every row; its grants still say which columns and verbs."""
    with_check = "" if command in {"SELECT", "DELETE"} else " WITH CHECK (true)"
    using = "" if command == "INSERT" else " USING (true)"
    op.execute(f"CREATE POLICY {role} ON {table} FOR {command} TO {role}{using}{with_check}")
