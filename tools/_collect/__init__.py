"""What tools/collect.py is made of."""
