"""What make_sample.py is made of: the photographs, the fabrics, the drawing of masks, and the pictures."""
