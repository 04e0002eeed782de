"""Face reenactment with a diffusion autoencoder."""
