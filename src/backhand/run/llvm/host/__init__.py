"""Threads and signals of this process; nothing here knows of LLVM.

- `signals`: Ctrl-C waits while LLVM compiles
- `workers`: threads that wait for calls
- `quota`: how many processors a container grants
- `team`: threads that run one function together, and how many are available
- `thread_tuner`: how many of them train fastest, as measured
"""
