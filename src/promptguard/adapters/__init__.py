"""What the guards need to know of each family of clients; none of them is imported."""
