"""Real parts under a storm of kills: who paid is served, who did not is not, nothing is twice."""
