"""ONNX graphs of pruned backbones, written node by node from a bundle's weights."""
