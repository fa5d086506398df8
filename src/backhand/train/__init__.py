"""One training loop, for `backhand.fit`, the command line and the estimators.

The rooms, in the order in which a training goes through them:

- `rows`: what is learned from, and the checks that it passes
- `blocks`, `stored`: more rows than memory holds, block by block; rows that are kept on the disk
- `config`: `TrainConfig`, how to train
- `state`: `TrainState`, all that is needed to continue, as arrays and JSON
- `stopping`: the best epoch so far, and when to wait no longer
- `penalty`: L2 as scikit-learn has it
- `loop`: `TrainLoop`, one epoch after another, and what follows each: evaluation, the best so far,
  callbacks, a checkpoint
- `lbfgs`: L-BFGS, which takes all rows at each step
- `evaluate`: loss and score on other rows
- `shards`, `local_steps`: rows in shards that are trained on by themselves, here or elsewhere, and
  averages of where they stand
- `callbacks`: what is called after each epoch, and what it is told
- `checkpoint`: the state in a file, from time to time
- `result`: what it ends with
- `fit`: all of it together; `several`: networks at once; `spread`: on the workers of joblib
"""
