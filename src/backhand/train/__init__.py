"""One training loop, for `backhand.fit`, the command line and the estimators.

The rooms, in the order in which a training goes through them:

- `rows`: what is learned from, and the checks that it passes
- `config`: `TrainConfig`, how to train
- `trainer`: what an executor offers, and the table of executors
- `state`: `TrainState`, all that is needed to continue, as arrays and JSON
- `stopping`: the best epoch so far, and when to wait no longer
- `loop`: `TrainLoop`, one epoch after another
- `lbfgs`: L-BFGS, which takes all rows at each step
- `evaluate`: loss and score on other rows
- `callbacks`: what is called after each epoch, and what it is told
- `checkpoint`: the state in a file, from time to time
- `course`: what follows each epoch: evaluation, the best so far, callbacks, a checkpoint
- `fit`: all of it together
"""
