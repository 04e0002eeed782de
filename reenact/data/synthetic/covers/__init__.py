"""What covers a head or lies before a face: hoods, head scarves, hands and microphones."""
