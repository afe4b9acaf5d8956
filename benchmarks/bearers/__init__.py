"""Three views that answer who a token belongs to, each by another library's bearer check, in one project.

They do the same work on the same people in the same database, behind the same middleware. Never use it for anything but
measuring.
"""
