"""SAML 2.0 without Django: no clock, no network, no logging. What comes in is plain values, what goes out is too."""
