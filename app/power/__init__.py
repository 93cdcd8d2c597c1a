"""The node's power: what it draws, who pays for it, its cap, and what its site lends it."""
