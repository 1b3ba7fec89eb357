"""The fleet in the control database: instances, accounts as validity intervals, sizes, periods, classes."""
