"""The mathematics, written once: plain Python over an array namespace, standard library only."""
