"""What makes pictures and labels ready to train on: collecting, cleaning, proposing, checking, drawing masks."""
