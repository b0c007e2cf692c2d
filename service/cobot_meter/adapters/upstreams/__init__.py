"""Gateways that run models, behind the upstream port."""
