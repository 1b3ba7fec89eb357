"""The exchange in the control database."""
