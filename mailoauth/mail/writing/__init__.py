"""How a message is written: its octets, headers and files."""
