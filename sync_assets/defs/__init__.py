"""This deployment: YAML files, no code. A folder for each connection or application, with a `defs.yaml` in it."""
