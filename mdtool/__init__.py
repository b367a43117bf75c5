"""mdtool: motion capture in, trained human-motion generators and watchable motion out."""

__version__ = "0.1.0"
