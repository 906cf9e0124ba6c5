"""Groups of categories: of the data set's files, or of a file of one's own."""

import pytest
from folders import CATEGORIES, segments, write_coco

from panoptic_eval import InputError, ground_truth
from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.datasets import cityscapes
from panoptic_eval.groups import category_groups

CATALOGUE = Catalogue(
    (
        Category(7, "Car", True, supercategory="vehicle"),
        Category(2, "sky", False),
        Category(3, "bus", True, supercategory="vehicle"),
        Category(4, "person", True, supercategory="human"),
    )
)


def file(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "groups.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_groups_of_the_data_set():
    assert category_groups(CATALOGUE, "supercategory") == {"vehicle": (0, 2), "human": (3,)}
    assert category_groups(cityscapes.catalogue("trainId"), "supercategory")["nature"] == (8, 9)


def test_groups_of_a_file_by_name_or_id_of_which_a_category_may_be_in_several_or_none(tmp_path):
    path = file(tmp_path, "\ufeffgroup,category,note\nmoving,CAR,x\nmoving,4,\nall,car,\nall,car,\n")
    assert category_groups(CATALOGUE, path) == {"moving": (0, 3), "all": (0,)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("group,category\na,train\nb,9\n", "2 categories are not in the ground truth"),
        ("name,group\ncar,a\n", "has no column category"),
        ("", "has no column category, group; expected category, group, not none"),
        ('group,category\n"a,car\n', "is no CSV file"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        category_groups(CATALOGUE, file(tmp_path, text))


def test_a_file_that_cannot_be_read_and_a_data_set_without_groups(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        category_groups(CATALOGUE, tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match="UTF-8"):
        category_groups(CATALOGUE, file(tmp_path, "group,category\nä,car\n", "latin-1"))
    with pytest.raises(InputError, match="says no supercategories"):
        category_groups(Catalogue((Category(1, "a", True),)), "supercategory")


def test_a_panoptic_json_gives_its_supercategories(tmp_path):
    listed = [{**c, "supercategory": "object--vehicle--car" if c["isthing"] else "sky"} for c in CATEGORIES]
    path = write_coco(tmp_path / "gt.json", {1: ([[1]], segments((1, 4)))}, categories=listed)
    groups = category_groups(ground_truth(path).catalogue, "supercategory")
    assert groups == {"object": (0, 2), "sky": (1,)}
