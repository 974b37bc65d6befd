"""Training the two-step engine's networks: the mask classifier and the face finder."""
