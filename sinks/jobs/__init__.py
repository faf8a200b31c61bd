"""Heavy work asked over REST that touches tables."""
