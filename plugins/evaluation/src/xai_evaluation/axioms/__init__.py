"""What an explanation owes by its definition."""
