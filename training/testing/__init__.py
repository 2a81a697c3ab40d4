"""What the tests of publishing stand on: a very small bundle and a loopback Hub."""
