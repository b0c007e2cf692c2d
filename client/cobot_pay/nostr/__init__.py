"""What a wallet over Nostr is made of: keys, signed events, ciphers, a relay. Must not know money.

Needs the extra `nwc`: secp256k1, ChaCha20 and WebSockets are other people's, none of it ours.
"""
