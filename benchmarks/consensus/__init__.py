"""What a panel's report is worth, measured on reviews and answers that others have recorded."""
