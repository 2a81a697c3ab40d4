"""What PII is made of: check digits, tables, and the ways to look for a value."""
