"""What the benchmarks of reading and of sending have in common."""
