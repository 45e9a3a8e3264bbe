"""How often alerts ring for nothing, and how soon for something."""
