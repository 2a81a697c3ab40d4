"""Runs the models: the only room that imports numpy, tokenizers and ONNX Runtime."""
