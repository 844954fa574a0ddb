"""The processes of a run: keeper, kernel, their tree, and what goes over the wires between them."""
