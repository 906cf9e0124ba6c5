from reproduce.verdicts import Claim, Part, verdict


def test_one_seed_of_the_other_sign_is_enough_for_doubt():
    assert verdict(0.1, 0.2, [0.3, -0.1]) == "inconclusive"
    assert verdict(-0.2, -0.1, [-0.3, 0.1]) == "inconclusive"


def test_a_claim_is_as_good_as_its_worst_part():
    part = {v: Part("", "", 0, 0, 0, v) for v in ("reproduced", "opposite", "inconclusive", "not testable here")}
    assert Claim(1, "", (part["reproduced"],) * 2).verdict == "reproduced"
    assert Claim(1, "", (part["reproduced"], part["inconclusive"])).verdict == "inconclusive"
    assert Claim(1, "", (part["reproduced"], part["inconclusive"], part["opposite"])).verdict == "opposite"
    assert Claim(1, "", tuple(part.values())).verdict == "not testable here"
    assert Claim(1, "", ()).verdict == "not testable here"
