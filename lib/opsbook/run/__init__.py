"""Plan -> events: the engine, the gate, the kernel and its keeper. Knows records only as a Sink."""
