"""Where work lives: targets, transports, bytes, processes, accelerators."""
