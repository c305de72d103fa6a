"""The check of a stream of rows: what it finds, what it lists, and what does not stop training."""

from __future__ import annotations

import pytest
from PIL import Image

from cobra_kit.data.check.checking import OpenedRows, check_stream
from cobra_kit.data.check.overlap import HeldOutImages, coco_number
from cobra_kit.errors import ImageError
from cobra_kit.interfaces import PlacedRow, TrainingRow


class Stream:
    """Rows in memory; images are plain, but for those that are called bad."""

    def __init__(self, rows):
        self._rows = rows

    def rows(self):
        return iter(self._rows)

    def has_image(self, image_id):
        return True

    def image(self, image_id):
        if "bad" in image_id:
            raise ImageError("the file is cut short", where=image_id)
        return Image.new("RGB", (4, 4), (sum(map(ord, image_id)) % 256, 0, 0))


def placed(number, row_id, images=("a.png",), answer="Yes."):
    row = TrainingRow(row_id, tuple(images), (("<image>" * len(images) + "Is it?", answer),))
    return PlacedRow("rows.json", number, row_id, row)


def check(rows, held_out=None):
    listed = []
    return check_stream(Stream(rows), None, held_out or HeldOutImages(), listed.extend), listed


def test_good_rows_may_be_trained_on():
    result, listed = check([placed(1, "a"), placed(2, "b", ("b.png", "a.png"))])
    assert result.may_start
    assert (result.rows, result.images, result.bad_rows, listed) == (2, 2, 0, [])


def test_rows_of_a_picture_that_will_not_open_are_listed_each_once():
    result, listed = check([placed(1, "a"), placed(2, "b", ("bad.png", "bad2.png")), placed(3, "c", ("bad.png",))])
    assert not result.may_start
    assert result.kinds["image"].count == 2
    assert [(row.number, row.row_id) for row in listed] == [(2, "b"), (3, "c")]
    assert listed[0].reason == "its picture bad.png: the file is cut short"


def test_broken_and_empty_rows_are_listed_with_reasons():
    broken = PlacedRow("rows.json", 2, "b", None, "the conversation starts with 'gpt'")
    result, listed = check([placed(1, "a"), broken, placed(3, "c", answer=" \n")])
    assert (result.kinds["form"].count, result.kinds["empty"].count) == (1, 1)
    assert [row.reason for row in listed] == ["the conversation starts with 'gpt'", "answer 1 is empty"]


def test_rows_that_a_list_leaves_out_are_counted_and_stop_nothing():
    left_out = PlacedRow("rows.json", 2, "b", None, "in the quarantine list: x", quarantined=True)
    result, _ = check([placed(1, "a"), left_out])
    assert result.may_start
    assert result.quarantined == 1
    nothing_left, _ = check([left_out])
    assert not nothing_left.may_start


def test_ids_of_two_rows_are_told_and_stop_nothing():
    result, _ = check([placed(1, "a"), placed(2, "a"), placed(3, "a")])
    assert result.may_start
    assert result.kinds["duplicate"].count == 2
    assert result.kinds["duplicate"].examples[0] == "rows.json row 2: a"


def test_pictures_of_a_benchmark_are_known_by_their_pixels_and_by_their_number():
    held_out = HeldOutImages()
    held_out.add("vqav2", ["COCO_val2014_000000000042.jpg", "other.png"], Stream([]))
    same_pixels = "other.png"
    rows = [placed(1, "a", ("train2017/000000000042.jpg",)), placed(2, "b", (same_pixels,)), placed(3, "c", ("c.png",))]
    result, _ = check(rows, held_out)
    assert result.may_start
    assert result.kinds["benchmark"].examples == [
        "train2017/000000000042.jpg is COCO_val2014_000000000042.jpg of vqav2",
        "other.png is other.png of vqav2",
    ]


@pytest.mark.parametrize(("name", "number"), [("coco/train2017/000000000042.jpg", "000000000042"), ("a/42.jpg", None)])
def test_numbers_of_coco(name, number):
    assert coco_number(name) == number


def test_a_name_that_no_text_can_hold_is_listed_as_it_is():
    result, listed = check([placed(1, "\udc80", ("bad\udc80.png",))])
    assert result.bad_rows == 1
    assert listed[0].row_id == "\udc80"


def test_an_opened_source_is_read_as_a_stream():
    class Source:
        def __init__(self):
            self.rows, self.caption_rows = [placed(1, "a").row], [placed(1, "a").row]

        def image(self, image_id):
            return Stream([]).image(image_id)

    result = check_stream(OpenedRows(Source()), None, HeldOutImages(), list)
    assert (result.rows, result.kinds["duplicate"].count) == (2, 0)
