"""The service over gRPC: the Open Inference Protocol and the standard health check.

Only imported where ``SENTRYFUSE_GRPC_PORT`` is set: it needs the extra ``sentryfuse[grpc]``.
"""

import os

# Before anything here imports grpc: its own log is no JSON, and tells nothing that a status does
# not.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
