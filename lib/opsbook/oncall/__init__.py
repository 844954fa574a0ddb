"""Rotas as people use them: who is on call, overrides, what is wrong with them, whether messages arrive."""
