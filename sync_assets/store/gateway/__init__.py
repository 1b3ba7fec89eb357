"""Who may call the gateway, and what was changed by whom: the tables of the HTTP face."""
