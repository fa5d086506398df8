def report(k): return ""
def write_docs(k): pass
