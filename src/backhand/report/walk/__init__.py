"""A page in which one walks through a network: forward, through the loss, and back, and trains it.

In the order in which data flows:

- `plans`: the plan of a network as data: buffers, nodes, and formulas as text
- `parameters`: parameters as text: those that were learned, and some that are drawn
- `subjects`: of each kind of model its networks, and rows
- `walk`: all of this as a page
- `explorable`: the method of models and estimators that gives it

The page computes with modules that `export.javascript` writes; its own scripts are in ``static/``:
`rows.js` (values, slopes, statistics and steps, without a page), `drawing.js`, `tour.js` and
`walk.js` (the page).
"""
