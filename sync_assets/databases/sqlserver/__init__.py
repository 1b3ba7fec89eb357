"""Microsoft SQL Server as a member of a fleet: accounts and sizes of its databases (`collect/`). No source, no target.

Written from the documentation and tested on rows made from it; not yet run against a live server.
"""
