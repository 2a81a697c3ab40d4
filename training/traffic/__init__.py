"""Traffic made for a service: with drift of a chosen kind, and with true labels."""
