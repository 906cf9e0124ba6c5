import numpy as np
import pytest
from PIL import Image, ImageOps
from turned import stored_as

from panoptic_eval.errors import InputError
from panoptic_eval.photographs import read, shown_size

SHOWN = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)


def exif_of(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_read_as_it_is_shown(tmp_path, orientation):
    path = tmp_path / "a.png"
    stored_as(Image.fromarray(SHOWN), orientation).save(path, exif=exif_of(orientation))
    image, size = read(path)
    assert shown_size(path) == size == (3, 5)
    assert np.asarray(image).tolist() == SHOWN.tolist()
    assert np.asarray(image).tolist() == np.asarray(ImageOps.exif_transpose(Image.open(path))).tolist()


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_jpeg_is_decoded_at_reduced_size_but_no_smaller_than_wanted(tmp_path, orientation):
    path = tmp_path / "a.jpg"
    smooth = Image.fromarray(SHOWN).resize((640, 480), Image.Resampling.BICUBIC)
    stored_as(smooth, orientation).save(path, exif=exif_of(orientation), quality=95)
    image, size = read(path, (100, 130))
    assert (size, image.size) == ((480, 640), (160, 120))
    assert np.abs(np.asarray(image, int) - np.asarray(smooth.reduce(4), int)).mean() < 3


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_is_none_leaves_the_picture(tmp_path, orientation):
    exif = exif_of(orientation)
    Image.fromarray(SHOWN).save(tmp_path / "a.png", exif=exif)
    assert np.asarray(read(tmp_path / "a.png")[0]).tolist() == SHOWN.tolist()


@pytest.mark.parametrize(
    "junk", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03", b"?"]
)
def test_damaged_exif_leaves_the_picture(tmp_path, junk):
    Image.fromarray(SHOWN).save(tmp_path / "a.jpg", quality=95)
    expected = np.asarray(read(tmp_path / "a.jpg")[0]).tolist()
    Image.fromarray(SHOWN).save(tmp_path / "a.jpg", quality=95, exif=junk)
    assert np.asarray(read(tmp_path / "a.jpg")[0]).tolist() == expected


def test_every_kind_of_pixel_is_read_as_the_same_picture(tmp_path):
    rgb = Image.fromarray(SHOWN)
    gray = np.asarray(rgb.convert("L"))
    few = rgb.quantize(4)
    alpha = rgb.convert("RGBA")
    alpha.putalpha(Image.fromarray(gray))
    as_gray = np.repeat(gray[..., None], 3, -1)
    pictures = {
        "alpha.png": (alpha, SHOWN),
        "gray.png": (Image.fromarray(gray), as_gray),
        "gray_alpha.png": (Image.merge("LA", [Image.fromarray(gray)] * 2), as_gray),
        "sixteen.png": (Image.fromarray(gray.astype(np.uint16) * 257), as_gray),
        "palette.png": (few, np.asarray(few.convert("RGB"))),
        "bits.png": (Image.fromarray(gray > 99), np.repeat(255 * (gray > 99)[..., None], 3, -1)),
    }
    for name, (image, expected) in pictures.items():
        image.save(tmp_path / name)
        assert np.asarray(read(tmp_path / name)[0]).tolist() == expected.tolist(), name
    flat = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    flat.save(tmp_path / "cmyk.jpg", quality=100)
    assert np.abs(np.asarray(read(tmp_path / "cmyk.jpg")[0], int) - [255, 0, 0]).max() <= 3


def test_pixels_without_a_certain_color_are_refused(tmp_path):
    Image.fromarray(np.ones((3, 5), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match=r"a\.tif: has pixels of kind F; expected 8-bit colors"):
        read(tmp_path / "a.tif")


def test_what_cannot_be_read_is_said(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    for call in (read, shown_size):
        with pytest.raises(InputError, match=r"a\.jpg: cannot be read .*; expected a JPEG or PNG"):
            call(tmp_path / "a.jpg")
        with pytest.raises(InputError, match=r"b\.jpg: cannot be read"):
            call(tmp_path / "b.jpg")
