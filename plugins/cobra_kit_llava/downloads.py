"""The sources of the paper's training data, for who has none of them yet.

Addresses: h-zhao1997/cobra, `cobra/preprocessing/download.py` and `scripts/additional-datasets` (commit eb0294d). What
the paper trained on is their merge (PAPER.md 2.1): 665K rows of LLaVA v1.5, 220K of LVIS-Instruct4V, 343K of
LRV-Instruct.
"""

from __future__ import annotations

from typing import NamedTuple


class Download(NamedTuple):
    """One thing to fetch.

    Attributes:
        what: What is fetched, in words.
        link: The page or file to fetch it from.
    """

    what: str
    link: str


ROWS = (
    Download(
        "LLaVA v1.5 mix, 665K rows",
        "https://huggingface.co/datasets/liuhaotian/LLaVA-Instruct-150K/resolve/main/llava_v1_5_mix665k.json",
    ),
    Download("LVIS-Instruct4V, 220K rows", "https://huggingface.co/datasets/X2FD/LVIS-Instruct4V"),
    Download("LRV-Instruct, 343K rows", "https://github.com/FuxiaoLiu/LRV-Instruction"),
)
"""The fine-tuning rows."""

CAPTIONS = (
    Download(
        "LLaVA's alignment captions, 558K rows",
        "https://huggingface.co/datasets/liuhaotian/LLaVA-Pretrain/resolve/main/blip_laion_cc_sbu_558k.json",
    ),
    Download("their pictures", "https://huggingface.co/datasets/liuhaotian/LLaVA-Pretrain/resolve/main/images.zip"),
)
"""The align stage's."""

IMAGES = (
    Download("coco/train2017", "http://images.cocodataset.org/zips/train2017.zip"),
    Download("coco/val2017 (LVIS)", "http://images.cocodataset.org/zips/val2017.zip"),
    Download("gqa/images", "https://downloads.cs.stanford.edu/nlp/data/gqa/images.zip"),
    Download("ocr_vqa/images", "https://huggingface.co/datasets/qnguyen3/ocr_vqa/resolve/main/ocr_vqa.zip"),
    Download("textvqa/train_images", "https://dl.fbaipublicfiles.com/textvqa/images/train_val_images.zip"),
    Download("vg/VG_100K", "https://cs.stanford.edu/people/rak248/VG_100K_2/images.zip"),
    Download("vg/VG_100K_2", "https://cs.stanford.edu/people/rak248/VG_100K_2/images2.zip"),
)
"""The images that the fine-tuning rows name, in the folders they name them by."""

BY_SETTING = {"rows": ROWS, "captions": CAPTIONS, "images": IMAGES}
"""Setting of the source `llava/rows` -> what fills it."""

_MIX = ("llava-v1.5-mix665k", "lvis-instruct4v", "lrv-instruct")
PREPARED = {"rows": _MIX, "captions": ("llava-align-558k",), "images": _MIX}
"""Setting of the source `llava/rows` -> the public sets that fill it, as `data prepare` names them."""
