"""Second opinions: the same messages judged by others' service providers, and every disagreement explained."""
