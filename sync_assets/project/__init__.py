"""A deployment as written down: YAML read into values, checked whole, and turned into sources and targets.

Knows no Dagster, so that ``sync-assets run FILE.yaml`` starts fast and the same rules hold everywhere.
"""
