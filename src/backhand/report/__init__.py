"""What people look at: tables in a terminal, and pictures."""
