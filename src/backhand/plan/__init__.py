"""What one training step does, as data: the description of a network, and its nodes in order."""
