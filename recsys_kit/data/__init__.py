"""Data by name: the catalogue, the readers, a file of your own, the cache, and the simulated market."""
