"""What spells LLVM instructions.

- `builder`: types, loops and small helpers over llvmlite's builder
- `simd`: vectors of numbers, and the operations on them
- `padding`: how far apart the rows of a buffer lie
"""
