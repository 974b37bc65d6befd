"""What check_labels.py is made of: labels, disagreements with them, the sheet to look at, the rows to apply."""
