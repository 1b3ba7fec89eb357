"""Shipped for whoever adds a database: a contract suite for tables, values of every type, and an oracle.

The modules `contract_*` are plain pytest functions over two fixtures, `lab` and `server_lab` (a `TableLab`): import
them into a test module that provides these. Nothing here shares code with what it judges, besides the protocols.
"""
