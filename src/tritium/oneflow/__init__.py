"""Graphs that ``oneflow.save`` wrote: read without OneFlow, and translated to ONNX."""
