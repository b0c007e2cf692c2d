"""What is run beside the service: containers, units, and real nodes for the proofs."""
