"""A fitted estimator as a program for exports."""

from __future__ import annotations

from typing import Any

from ..export.program import Decision, Program, StageBuilder, logits_buffer, network_stage
from ..formulas.activations import logistic
from ..formulas.answers import opposite
from ..formulas.losses import softmax
from ..network import Params
from .fitted import Fitted
from .targets import Classes


def program_of_fitted(fitted: Fitted, params: Params) -> Program:
    """From x to what `predict_proba` gives, or `predict` of numbers.

    Parameters
    ----------
    fitted : Fitted
    params : dict of str to array
        The parameters now.
    """
    network, targets, builder = fitted.network, fitted.targets, StageBuilder()
    z = logits = logits_buffer(network)
    link: Any = network.loss.inverse_link
    decision = Decision("numbers")
    if isinstance(targets, Classes):
        several, by_softmax = targets.several, fitted.out_activation == "softmax"
        link = softmax if by_softmax else logistic
        if not (several or by_softmax):
            logits = builder.beside(builder.map(opposite, z), z)
        decided_by_largest = by_softmax or len(targets.labels) == 1
        kind = "largest_logit" if decided_by_largest else "positive_logit"
        decision = Decision("labels" if several else kind, tuple(targets.labels.tolist()))
    answer = builder.stage("answer", network.dtype, [z], builder.map(link, logits))
    return Program(
        f"network {network.summary}",
        network.inputs,
        (network_stage(network, params),),
        answer,
        decision,
        feature_names=() if fitted.names is None else tuple(map(str, fitted.names)),
    )
