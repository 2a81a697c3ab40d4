"""Other libraries beside promptguard: the same texts, in one run."""
