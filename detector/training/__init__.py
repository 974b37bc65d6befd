"""From labels to a verified ONNX file. The only part of the package that needs torch."""
