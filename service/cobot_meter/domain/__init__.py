"""What holds whatever the books, the node and the upstream are: values and rules, no I/O."""
