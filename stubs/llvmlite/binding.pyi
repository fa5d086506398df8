from typing import Any

TargetMachine = Any

def __getattr__(name: str) -> Any: ...
