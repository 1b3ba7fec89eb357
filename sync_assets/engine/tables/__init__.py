"""Tables to tables: shapes, slices, digests, and the one way in which a table is brought into step with another."""
