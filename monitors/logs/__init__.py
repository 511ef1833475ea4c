"""One log of any size, seen by byte offsets: where it comes from, how it is walked, searched and filtered."""
