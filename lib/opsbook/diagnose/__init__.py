"""Decision trees: pages of docs/trees/. They answer questions by checks where they can, and ask the rest."""
