"""Who may come in and how often: users, passwords, callers' addresses."""
