"""Whether to train again, the training, and whether what comes of it takes over."""
