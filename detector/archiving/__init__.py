"""Archives: where their images are, what was found in them, and the worker that finds it. Ray spreads the work."""
