"""What commands say and ask in a terminal."""
