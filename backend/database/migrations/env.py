"""What alembic runs: the steps, on the connection and in the transaction that `migrate` began."""

from alembic import context

from backend.database.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter a table in place
)
with context.begin_transaction():
    context.run_migrations()
