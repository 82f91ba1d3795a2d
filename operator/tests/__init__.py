"""A package, so that pytest never takes the folder above for a module: it is called as one of the standard library is."""
