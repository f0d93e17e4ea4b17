"""The request path: the straight line, its attempts, streams and settlement."""
