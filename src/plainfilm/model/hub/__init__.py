"""Networks as the hubs lay them out, a folder each: read without their own software, and built as ONNX graphs."""
