"""Tests of what a buying agent installs."""
