import pytest
from drawings import BUS, CAR, ROAD, SKY, table

from panoptic_eval.pairs.table import concatenate
from panoptic_eval.score import Tables, score


@pytest.fixture
def scored():
    one = table("ccccddss", "cccc.dss", c=CAR, d=BUS, s=SKY, scores={"c": 0.9, "d": 0.8}, image_id=1)
    two = table("rrrrcc..", "rrrr.c..", c=CAR, r=ROAD, scores={"c": 0.7}, image_id=2)
    return score(Tables(concatenate([one, two])), provenance={"version": "test"}, warnings=["so it is"])
