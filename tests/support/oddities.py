"""Changes to the files of `scene`: oddities of one meaning with the warning about each, and faults."""

import json
import unicodedata

import folders
import numpy as np
from scene import CAR, CATEGORIES, PERSON, SKY


def floats(data):
    for side in (data.gt, data.pred):
        for annotation in side.json["annotations"]:
            annotation["image_id"] = float(annotation["image_id"])
        for segment in side.segments():
            segment.update(id=float(segment["id"]), category_id=float(segment["category_id"]))
    for segment in data.gt.segments():
        segment["iscrowd"] = 0.0
    for category in data.gt.json["categories"]:
        category.update(id=float(category["id"]), isthing=float(category["isthing"]))


def unlisted_names(data):
    for name in ("extra.png", "._000001.png", ".hidden.png"):
        folders.write_rgb(data.pred_json.with_suffix("") / name, [[1]])


def covered(data):
    data.gt.json["annotations"][0]["segments_info"].append({"id": 23, "category_id": CAR, "area": 0, "iscrowd": 0})


def without_image_entry(data):
    data.gt.json["images"].pop()


def without_annotation(data):
    data.gt.json["images"].append({"id": 4, "width": 30, "height": 20, "file_name": "000004.jpg"})


def more_predictions(data):
    data.pred.json["annotations"].append(
        {"image_id": 99, "file_name": "nowhere.png", "segments_info": [{"id": -1, "category_id": "unknown"}]}
    )


def renamed(form, side="pred"):
    def change(data):
        for annotation in getattr(data, side).json["annotations"]:
            annotation["file_name"] = form(annotation["file_name"])

    return change


def in_subfolder(form):
    def change(data):
        data.pred.ids = {f"Stadt-ä/{name}": ids for name, ids in data.pred.ids.items()}
        for annotation in data.pred.json["annotations"]:
            annotation["file_name"] = form(annotation["file_name"])

    return change


def image_ids(form, side="pred"):
    def change(data):
        for annotation in getattr(data, side).json["annotations"]:
            annotation["image_id"] = form(annotation["image_id"])
        for image in getattr(data, side).json.get("images", ()):
            image["id"] = form(image["id"])

    return change


def again(key, side="gt"):
    return lambda data: getattr(data, side).json[key].append(getattr(data, side).json[key][-1])


def nulls(data):
    for segment in [*data.gt.segments(), *data.pred.segments()]:
        segment.update(area=None)
    for segment in data.gt.segments():
        segment["iscrowd"] = None
    for category in data.gt.json["categories"]:
        category["color"] = None
    data.pred.json.update(categories=None, images=None)


def some_named_by_position(data):
    named_by_position(data)
    named = [{**c, "id": k} for k, c in enumerate(CATEGORIES) if c["id"] != SKY]
    data.pred.json["categories"] = [*named, {"id": 9, "name": "x"}]
    for side in (data.gt, data.pred):
        for annotation in side.json["annotations"]:
            annotation["segments_info"].pop(0)  # nothing is sky any more
        for name, ids in side.ids.items():
            side.ids[name] = np.where(ids == 11, 0, ids)


def categories_of_prediction(data):
    data.pred.json["categories"] = [{"id": c["id"], "name": c["name"]} for c in CATEGORIES]


def bad_categories_of_prediction(data):
    data.pred.json["categories"] = [{"id": -1, "name": "x"}, {"id": PERSON, "name": "person"}, {"id": PERSON}]


def named_by_position(data):
    data.pred.json["categories"] = [{**c, "id": k} for k, c in enumerate(CATEGORIES)]
    position = {c["id"]: k for k, c in enumerate(CATEGORIES)}
    for segment in data.pred.segments():
        segment["category_id"] = position[segment["category_id"]]


def again_segment(side):
    def change(data):
        entries_of_image = getattr(data, side).json["annotations"][1]["segments_info"]
        entries_of_image.append(dict(entries_of_image[0]))

    return change


ODDITIES = {
    "floats": (floats, 'values of "category_id" are floats'),
    "PNGs without annotation": (unlisted_names, "1 PNG is named by no annotation"),
    "covered segment": (covered, "1 segment of the ground truth has no pixel"),
    "annotation without image": (without_image_entry, '"images" does not list'),
    "image without annotation": (without_annotation, "1 image has no annotation"),
    "more predictions": (more_predictions, "1 entry is of no image of the ground truth"),
    "sizes exchanged": (lambda d: d.gt.json["images"][1].update(width=20, height=30), "has another size"),
    "areas": (lambda d: [s.update(area=1) for s in d.pred.segments()], "12 pred segments have another area"),
    "annotation twice": (again("annotations"), "1 annotation of an image is written twice"),
    "predicted annotation twice": (again("annotations", "pred"), "1 annotation of an image is written twice"),
    "two entries of an image": (
        lambda d: d.gt.json["images"].append({"id": 1, "width": 3, "height": 3}),
        "1 entry of an image differs",
    ),
    "segment twice": (again_segment("gt"), "1 segment is written twice"),
    "predicted segment twice": (again_segment("pred"), "1 segment is written twice"),
    "image twice": (again("images"), "1 entry of an image is written twice"),
    "category twice": (again("categories"), "1 category is written twice"),
    "nulls": (nulls, ""),
    "prediction's categories without isthing": (categories_of_prediction, ""),
    "prediction's categories unsound": (bad_categories_of_prediction, "its categories are not read"),
    "categories by position, named": (named_by_position, "read by their names"),
    "a file's ending": (renamed(lambda name: name.replace(".png", ".jpg")), "3 file names are in another form"),
    "no ending": (renamed(lambda name: name.removesuffix(".png"), "gt"), "3 file names are in another form"),
    "the folder's name": (renamed(lambda name: f"panoptic/{name}"), "3 file names are in another form"),
    "backslashes": (in_subfolder(lambda name: f"Stadt-ä\\{name}"), "3 file names are in another form"),
    "Unicode forms": (
        in_subfolder(lambda name: unicodedata.normalize("NFD", f"Stadt-ä/{name}")),
        "3 file names are in another form",
    ),
    "capitals": (lambda d: setattr(d.pred, "ids", {n.upper(): i for n, i in d.pred.ids.items()}), "another form"),
    "digits for numbers": (image_ids(str), '3 image ids are in another form than in the ground truth'),
    "zeros in front": (image_ids(lambda id_: f"{id_:06}"), "3 image ids are in another form"),
    "paths for numbers": (image_ids(lambda id_: f"val/{id_:06}.png"), "3 image ids are in another form"),
    "a category without name": (lambda d: d.gt.json["categories"][1].pop("name"), "1 category has no name"),
    "file names for numbers": (image_ids(lambda id_: f"{id_:06}.jpg"), "3 image ids are in another form"),
    "numbers for stems": (image_ids(lambda id_: f"{id_:06}", "gt"), "3 image ids are in another form"),
}  # fmt: skip

DIFFERENT = {
    "annotations": lambda d: d.gt.json["annotations"].append({**d.gt.json["annotations"][0], "segments_info": []}),
    "predicted annotations": lambda d: d.pred.json["annotations"].append(
        {**d.pred.json["annotations"][0], "file_name": "000002.png"}
    ),
    "categories": lambda d: d.gt.json["categories"].append({**CATEGORIES[0], "isthing": 0}),
    "two entries of a segment": lambda d: d.gt.json["annotations"][0]["segments_info"].append(
        {**d.gt.json["annotations"][0]["segments_info"][0], "iscrowd": 1}
    ),
    "a thing twice over": lambda d: d.gt.json["categories"][0].update(isthing=2),
    "half an id": lambda d: d.pred.segments()[0].update(category_id=9.5),
    "an empty image id": lambda d: d.pred.json["annotations"].append(
        {"image_id": "", "file_name": "000001.png", "segments_info": []}
    ),
    "the smallest category id": lambda d: d.pred.segments()[0].update(category_id=-(2**63)),
    "a size that no PNG has": lambda d: d.gt.json["images"][0].update(width=2**31, height=2**31),
    "a long name": lambda d: d.pred.json["annotations"][0].update(file_name="x" * 5000),
    "a NUL in a name": lambda d: d.pred.json["annotations"][0].update(file_name="x\0.png"),
    "5,000 digits": lambda d: d.pred.json["annotations"][0].update(image_id=None),
    "a nest": lambda d: d.gt.json["images"][0].update(height=json.loads("[" * 900 + "]" * 900)),
    "the name of another image's photograph": lambda d: d.pred.json["annotations"][0].update(file_name="000002.jpg"),
    "backslashes that leave": lambda d: d.pred.json["annotations"][0].update(file_name="..\\..\\gt\\000001.png"),
}  # fmt: skip
