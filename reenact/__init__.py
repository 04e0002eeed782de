"""Face reenactment with a diffusion autoencoder: faces, training, inference and evaluation."""
