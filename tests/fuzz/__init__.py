"""What anybody can send, by chance: nothing but a refusal of ours may come of it, and soon."""
