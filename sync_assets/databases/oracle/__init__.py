"""Oracle Database as a member of a fleet: accounts and sizes (`collect/`). No source and no target.

Written from the documentation and tested on rows made from it; not yet run against a live server.
"""
