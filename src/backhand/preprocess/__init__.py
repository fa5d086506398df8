"""From a table with its own columns, or pixels, to a network's inputs.

In the order in which data flows:

- `cells`: what a column holds (numbers, dates, booleans, text), and its values
- `columns`: one encoder a column, fitted on training rows
- `preparation`: all columns of a table, or the pixels of pictures; stored with the model
- `checks`: entries of a description that comes from a file
"""
