"""What a provider allows, kept by all processes of a machine together."""
