"""`cobot/consensus`: several models on one question, under one invoice with a receipt for each."""
