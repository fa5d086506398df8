"""Measuring: how fast networks train, beside other libraries and the machine's own peak.

- `peak`: what the processor can do at most, measured by a loop of multiply-adds
- `peers`: other libraries that train the same network
- `training`: the networks that are measured, and the record of a measurement
"""
