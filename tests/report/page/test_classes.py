from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score

from backhand.report.page.classes import calibration, class_page, curve
from backhand.report.page.sampling import MOST_POINTS


def probabilities(rows):
    rng = np.random.default_rng(0)
    p = rng.uniform(size=rows)
    return p, rng.uniform(size=rows) < p


@pytest.mark.parametrize("rows", [50, 5000])
def test_counts_at_each_threshold_are_those_of_scikit_learn(rows):
    p, true = probabilities(rows)
    found = curve("yes", p, true, keep=0.37)
    assert 0.37 in found.thresholds
    assert len(found.thresholds) <= MOST_POINTS + 2
    assert (np.diff(found.thresholds) < 0).all()
    for place in range(0, len(found.thresholds), 7):
        chosen = p >= found.thresholds[place]
        (_, alarms), (_, hits) = confusion_matrix(true, chosen, labels=[False, True])
        assert (found.hits[place], found.alarms[place]) == (hits, alarms)
    assert found.hits[0] == found.alarms[0] == 0
    assert found.hits[-1] == found.positives == true.sum()
    assert found.auc == roc_auc_score(true, p)
    assert found.average_precision == average_precision_score(true, p)


def test_probabilities_that_are_right_are_calibrated():
    p, true = probabilities(20_000)
    found = calibration("p", p, true)
    assert found.rows.sum() == 20_000
    # each bin has 2,000 rows: a deviation of at most 0.5 / sqrt(2000) = 0.011, here three of them
    assert np.abs(found.said - found.found).max() < 0.034
    assert found.error < 0.012
    assert ((found.low < found.found) & (found.found < found.high)).all()
    assert calibration("p", np.sqrt(p), true).error > 0.1


def test_several_classes_have_a_curve_each(subject):
    of = subject("several")
    found = class_page(of)
    assert [one.label for one in found.curves] == of.labels
    assert found.threshold is None
    two = class_page(subject("binary"))
    assert [one.label for one in two.curves] == [subject("binary").labels[1]]
    assert two.threshold in two.curves[0].thresholds
