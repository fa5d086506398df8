"""What people look at: tables in a terminal, and pictures.

- `scores`: how good predictions are, with intervals, beside a baseline
- `score_tables`: scores in a terminal
- `ensemble`: the columns and networks of an ensemble there, while it is trained and afterwards
- `tables`: all other tables there
- `progress`: a line for each epoch of one network, while it is trained
- `pictures`: histories, layers and times as files
- `page/`: the report, one HTML file about a model
- `walk/`: a page in which one walks through a network
"""
