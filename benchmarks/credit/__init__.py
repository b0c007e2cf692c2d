"""What a request on a prepaid key costs, beside what charges nothing and beside others' proxies."""
