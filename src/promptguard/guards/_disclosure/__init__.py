"""Who is named in a text, what it says of their health, and which belongs to whom."""
