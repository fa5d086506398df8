"""From a table with its own columns, or pixels, to a network's inputs.

In the order in which data flows:

- `arrow`: columns of an Arrow table, as one array without a coding
- `number_text`, `date_text`: the ways in which people write numbers and dates
- `missing`: what stands for a missing value
- `readings`: what a column was read as, stored with the model
- `cells`: finds what a column holds (numbers, dates, booleans, text), and reads its values
- `tables`: frames, arrays and lists of rows, column by column
- `identifiers`: columns that say nothing
- `distribution`: the numbers of a column, or a sketch of them
- `scaling`: robust scales with a smooth clip
- `encoder`: what `numbers`, `dates` and `categories` have in common; one encoder a column, fitted
  on training rows
- `choice`: which of them a column gets
- `preparation`: all columns of a table; stored with the model
- `sketches`, `gathering`: statistics of columns that memory does not hold
- `one_row`: one row's values without Arrow, in microseconds
- `decision`: and back, from what a network answers to classes
- `pixels`: one mean and standard deviation for pictures
- `checks`: entries of a description that comes from a file
"""
