"""The fleet: accounts, grants, capacity, periods and classes of many database servers. Pure: no I/O, no driver."""
