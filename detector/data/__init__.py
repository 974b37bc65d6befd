"""Labels: LabelImg XML, and the YOLO folder that training reads."""
