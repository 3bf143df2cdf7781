"""ONNX graphs: made from Keras, joined, differentiated."""
