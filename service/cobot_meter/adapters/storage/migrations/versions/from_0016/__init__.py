"""Revisions from 0016 on: a folder holds fifteen."""
