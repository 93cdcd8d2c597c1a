"""Everything that needs torch: blocks, backbones, the gate as a module, training."""
