"""`python -m sync_assets.cli`: the command where the script is not on the path."""

from sync_assets.cli import main

main()
