"""What benchmark.py is made of: one module per thing that is measured, each side by side with what others use."""
