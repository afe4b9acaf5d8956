"""The barest Django view that signs somebody in by SAML: what the whole of Portico is measured against.

It verifies signatures and refuses replays, and nothing else. Never use it for anything but measuring.
"""
