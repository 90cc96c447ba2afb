"""The CPU backend: graphs become explicit vector LLVM IR, compiled in process."""
