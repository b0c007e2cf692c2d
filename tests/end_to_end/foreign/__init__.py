"""Programs that run in the environments of foreign clients; they import nothing of ours."""
