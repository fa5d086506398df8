"""From a table with its own columns, or pixels, to a network's inputs.

In the order in which data flows:

- `arrow`: columns of an Arrow table, as one array without a coding
- `number_text`, `date_text`: the ways in which people write numbers and dates
- `readings`: what a column was read as, stored with the model
- `cells`: finds what a column holds (numbers, dates, booleans, text), and reads its values
- `columns`: one encoder a column, fitted on training rows
- `preparation`: all columns of a table, or the pixels of pictures; stored with the model
- `checks`: entries of a description that comes from a file
"""
