"""ONNX Runtime, told to keep what it sees to itself.

Since release 1.29 its Linux builds send events about models and inferences to their maker, from
the import on, unless this variable is set by then. Whoever wants that sets it to 0.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# The variable is read while it is imported.
import onnxruntime

__all__ = ["onnxruntime"]
