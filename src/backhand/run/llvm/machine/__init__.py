"""The processor and its machine code.

- `object_cache`: compiled code on disk, and whose code may run
- `target`: which processor this is, and LLVM's code generator for it
- `fp_mode`: subnormal numbers count as zeros while native code runs
- `elf_linker`: object files linked in memory, without LLVM
- `compile_store`: functions that several programs contain are compiled once
"""
