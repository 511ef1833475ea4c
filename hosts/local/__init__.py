"""What a host says of itself. Standard library alone, Python 3.10: these modules travel."""
