"""Repositories, tasks and documents between two installations. Pure of HTTP, SQL and Dagster."""
