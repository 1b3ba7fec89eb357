"""The exchange with other installations at work: peers as the YAML names them, the way to reach them, its runs."""
