"""The steps that bring a database to the tables of `backend.tables`, for alembic."""
