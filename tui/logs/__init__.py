"""What a person sees of a log: safe rows of text, and the view that scrolls, follows, finds and filters."""
