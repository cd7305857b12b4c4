"""What is said on a submission line (RFC 6409), and what it means."""
