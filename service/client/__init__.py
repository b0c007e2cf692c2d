"""What a buying agent installs: auth that pays, and wallets; imports nothing else of ours."""
