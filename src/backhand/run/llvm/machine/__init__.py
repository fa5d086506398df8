"""The processor and its machine code.

- `target`: which processor this is, and LLVM's code generator for it
- `fp_mode`: subnormal numbers count as zeros while native code runs
- `elf_linker`: object files linked in memory, without LLVM
"""
