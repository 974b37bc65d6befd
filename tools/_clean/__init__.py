"""What tools/clean.py is made of."""
