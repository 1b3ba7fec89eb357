"""Measurements that stand behind the numbers in the documentation. None of them is a test: machines differ."""
