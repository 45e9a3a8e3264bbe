"""Monitoring: outcomes observed once each, and how far the served predictions were from them."""
