"""WebDataset shards as training data: samples, captions, several images, and shards that are broken."""

from __future__ import annotations

import io
import json
import tarfile

import pytest
from PIL import Image

from cobra_kit.errors import DataError, ImageError
from cobra_kit_llava.config import ShardSettings
from cobra_kit_llava.shard_source import ShardRows


def picture(colour):
    content = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(content, "PNG")
    return content.getvalue()


def conversation(question="<image>What?", answer="Red."):
    return json.dumps({"conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]})


def write(path, members, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, content in members:
            content = content if isinstance(content, bytes) else content.encode()
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


SAMPLES = [
    ("000.json", conversation()),
    ("000.png", picture((255, 0, 0))),
    ("001.jpg", picture((0, 255, 0))),
    ("001.txt", "a green square\n"),
    ("002.0.png", picture((1, 0, 0))),
    ("002.1.png", picture((2, 0, 0))),
    ("002.json", conversation("<image><image>Which?")),
    ("003.json", conversation("Who?")),
]


def opened(path, **settings):
    return ShardRows.open(ShardSettings(shards=path, **settings))


def test_samples_are_rows_with_their_images(tmp_path):
    source = opened(write(tmp_path / "a.tar", SAMPLES))
    assert [row.row_id for row in source.rows] == ["000", "001", "002", "003"]
    assert source.rows[1].turns == (("<image>", "a green square"),)
    assert [len(row.images) for row in source.rows] == [1, 1, 2, 0]
    assert [source.image(name).getpixel((0, 0)) for name in source.image_ids("train")] == [
        (255, 0, 0),
        (0, 255, 0),
        (1, 0, 0),
        (2, 0, 0),
    ]


def test_shards_of_a_folder_follow_each_other(tmp_path):
    write(tmp_path / "b.tar", [("9.txt", "last"), ("9.png", picture((9, 9, 9)))])
    write(tmp_path / "a.tar", SAMPLES)
    source = opened(tmp_path)
    assert [row.row_id for row in source.rows] == ["000", "001", "002", "003", "9"]
    assert source.image(source.rows[-1].images[0]).getpixel((0, 0)) == (9, 9, 9)
    before = source.fingerprint
    write(tmp_path / "b.tar", [("9.txt", "other"), ("9.png", picture((9, 9, 9)))])
    assert opened(tmp_path).fingerprint != before


def test_broken_samples_are_left_out_with_reasons(tmp_path):
    bad = [("5.json", "{"), ("6.png", picture((1, 1, 1))), ("7.json", conversation("<image>What?")), ("8.json", "[]")]
    source = opened(write(tmp_path / "a.tar", [*SAMPLES, *bad]))
    assert len(source.rows) == 4
    assert source.rejects.total == 4


def test_images_that_no_row_could_name_are_refused(tmp_path):
    source = opened(write(tmp_path / "a.tar", SAMPLES))
    for name in ("a.tar/000.png", "b.tar/000.png@512+10", "/etc/passwd"):
        with pytest.raises(ImageError, match="no image of the shards"):
            source.image(name)
    with pytest.raises(ImageError, match="the shard ends within it"):
        source.image("a.tar/000.png@512+99999999")


def test_shards_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(DataError, match="a gzip file"):
        opened(write(tmp_path / "z.tar", SAMPLES, "w:gz"))
    whole = write(tmp_path / "a.tar", SAMPLES).read_bytes()
    (tmp_path / "a.tar").write_bytes(whole[:700])
    with pytest.raises(DataError, match=r"a\.tar: the shard cannot be read"):
        opened(tmp_path / "a.tar")
    with pytest.raises(DataError, match="no such shard"):
        opened(tmp_path / "none.tar")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no \.tar file"):
        opened(tmp_path / "empty")


def test_the_stream_names_the_same_images(tmp_path):
    settings = ShardSettings(shards=write(tmp_path / "a.tar", SAMPLES))
    stream = ShardRows.stream(settings)
    names = [name for item in stream.rows() for name in item.row.images]
    assert names == list(ShardRows.open(settings).image_ids("train"))
    assert all(map(stream.has_image, names))
    assert not stream.has_image("a.tar/000.png@512+99999999")
