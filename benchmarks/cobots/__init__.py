"""What our plugins cost a real cobot, in its own environment."""
