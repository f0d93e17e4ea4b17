"""Alembic's entry: runs the versions on the connection that `migrations.upgrade` hands over."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, transaction_per_migration=True, version_table="schema_version")
with context.begin_transaction():
    context.run_migrations()
