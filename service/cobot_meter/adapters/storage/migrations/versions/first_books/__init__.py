"""The first nine revisions: up to the least that an ask counts."""
