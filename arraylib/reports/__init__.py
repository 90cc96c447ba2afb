"""What people see of a program: costs, memory, profiles, compilations; data that prints as tables.

Backends fill these classes with facts; nothing here knows how the facts are found.
"""
