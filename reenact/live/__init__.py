"""A photo that follows a camera, or a video that is played like a camera."""
