"""What evaluate and compare are made of: labelled images in, figures, pictures and a report out."""
