"""Where rows go that is not a database. One file or folder each; none knows another."""
