"""Runs commands at a site over SSH. It knows no scheduler."""
