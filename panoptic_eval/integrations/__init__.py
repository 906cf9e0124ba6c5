"""Interfaces of other libraries, by form alone: nothing of them is imported."""
