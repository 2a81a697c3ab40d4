"""Labels of captured traffic: what to label, what came back, and into the training."""
