"""The HTTP face of an installation. A process of its own: must not import Dagster."""
