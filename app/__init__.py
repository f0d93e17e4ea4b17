"""The data plane and the composition root."""
