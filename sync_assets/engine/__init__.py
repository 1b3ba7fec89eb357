"""The one way that data takes: read, plan, write, report. Knows no driver, no HTTP, no Dagster."""
