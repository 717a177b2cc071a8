"""The trained model: its bundle, its encoder, and phases by distance in latent space."""
