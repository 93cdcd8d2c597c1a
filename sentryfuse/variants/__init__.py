"""From a mask to something that runs: sliced weights, ONNX graph, session, card. No torch."""
