"""The demo: a small shop that goes on changing, two boards that follow it, and the Dagster UI to watch.

Real parts on this machine only: a private MariaDB (or PostgreSQL), the Bitable emulator, Dagster with its daemon.
Talks to Dagster from outside, over GraphQL, as any user of the API would.
"""
