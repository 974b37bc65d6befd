"""What prelabel.py is made of: the proposed boxes, the list of files that nobody has saved since, links in an order."""
