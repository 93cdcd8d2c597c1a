"""The shipped model's dense graph behind our service and behind others, side by side.

Everybody gets the same ONNX graph, the same windows, the same engine with the same options, all
cores, and turns on the same machine in one run. ``python -m benchmarks.peers --help`` says how.
"""
