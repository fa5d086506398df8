"""The report: one HTML file that shows what a model has learned, and how good it is.

In the order in which data flows. All but the last two are numbers, as dataclasses:

- `answering`: networks whose logits become answers, some networks for some rows
- `subject`: a model and rows, in the terms that everything below needs
- `subjects`: a subject of each kind of model
- `sampling`: how many rows are looked at, where there are more
- `classes`: thresholds, curves, and calibration of probabilities
- `values`: predictions beside values, errors, and coverage of intervals
- `columns`: how columns are treated, how much they matter, and how answers depend on them
- `attributions`: how much each column drove the prediction of a row
- `mistakes`: the rows that are most wrong
- `course`: how the trainings went
- `health`: what layers looked like while they were trained, in words and with remedies
- `report`: all of this, as data
- `html`: the data as a page
"""
