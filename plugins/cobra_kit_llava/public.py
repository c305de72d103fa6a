"""The public data sets that the paper trained on, for `data prepare`.

Counts: PAPER.md 2.1. Addresses and the folders that rows name: h-zhao1997/cobra, `cobra/preprocessing/download.py` and
`scripts/additional-datasets/lvis_instruct_4v.py` (commit eb0294d). None of the addresses gives a checksum.
"""

from __future__ import annotations

from cobra_kit.interfaces import PublicFile, PublicSet

_FACTS = "arXiv 2403.14520v4, section 3.3; h-zhao1997/cobra, cobra/preprocessing/download.py (eb0294d)"
_HUB = "https://huggingface.co/datasets"


def _images(what: str, folder: str, link: str) -> PublicFile:
    return PublicFile(
        path=f"archives/{folder.replace('/', '-')}.zip", what=what, link=link, unpacked=f"images/{folder}"
    )


_COCO_TRAIN = _images("COCO train2017", "coco/train2017", "http://images.cocodataset.org/zips/train2017.zip")
_COCO_VAL = _images("COCO val2017", "coco/val2017", "http://images.cocodataset.org/zips/val2017.zip")
_GQA = _images("GQA images", "gqa/images", "https://downloads.cs.stanford.edu/nlp/data/gqa/images.zip")
_OCR_VQA = _images("OCR-VQA images", "ocr_vqa/images", f"{_HUB}/qnguyen3/ocr_vqa/resolve/main/ocr_vqa.zip")
_TEXTVQA = _images(
    "TextVQA images", "textvqa/train_images", "https://dl.fbaipublicfiles.com/textvqa/images/train_val_images.zip"
)
_VG = _images("Visual Genome, part 1", "vg/VG_100K", "https://cs.stanford.edu/people/rak248/VG_100K_2/images.zip")
_VG_2 = _images("Visual Genome, part 2", "vg/VG_100K_2", "https://cs.stanford.edu/people/rak248/VG_100K_2/images2.zip")

MIX = PublicSet(
    name="llava-v1.5-mix665k",
    title="LLaVA v1.5's instruction mix: 665K in its name, 655K in the paper; multi-turn, some rows without an image",
    files=(
        PublicFile(
            path="llava_v1_5_mix665k.json",
            what="the rows",
            link=f"{_HUB}/liuhaotian/LLaVA-Instruct-150K/resolve/main/llava_v1_5_mix665k.json",
        ),
        _COCO_TRAIN,
        _GQA,
        _OCR_VQA,
        _TEXTVQA,
        _VG,
        _VG_2,
    ),
    licence=f"stated on its page, with OpenAI's terms for the texts: {_HUB}/liuhaotian/LLaVA-Instruct-150K",
    facts=_FACTS,
    notes=(
        "Some OCR-VQA images are GIF or PNG under names that end in .jpg; they are opened by what they are.",
        "Some OCR-VQA images are missing for everybody (LLaVA issue 1618); `data check` lists their rows.",
    ),
    settings="data: {source: llava/rows, rows: {root}/llava_v1_5_mix665k.json, images: {root}/images}",
)
LVIS = PublicSet(
    name="lvis-instruct4v",
    title="LVIS-Instruct4V: 220K conversations about COCO images",
    files=(
        PublicFile(
            path="lvis_instruct4v_220k.json",
            what="the rows, in LLaVA's form",
            link=f"{_HUB}/X2FD/LVIS-Instruct4V/resolve/main/lvis_instruct4v_220k.json",
        ),
        _COCO_TRAIN,
        _COCO_VAL,
    ),
    licence=f"see its page: {_HUB}/X2FD/LVIS-Instruct4V",
    facts="arXiv 2403.14520v4, section 3.3; h-zhao1997/cobra, scripts/additional-datasets (eb0294d)",
    notes=(
        "Ids are not unique: cobra-kit data convert lvis-instruct4v {root}/lvis_instruct4v_220k.json "
        "--images {root}/images --out {root}/lvis_rows.jsonl",
    ),
    settings="data: {source: llava/rows, rows: {root}/lvis_rows.jsonl, images: {root}/images}",
)
LRV = PublicSet(
    name="lrv-instruct",
    title="LRV-Instruct: 342,799 rows as Cobra's script builds them (400K in the paper)",
    files=(
        PublicFile(
            path="lrv/filter_cap.json",
            what="instructions about Visual Genome, first file",
            page="https://github.com/FuxiaoLiu/LRV-Instruction",
        ),
        PublicFile(
            path="lrv/filter_cap_more.json",
            what="instructions about Visual Genome, second file",
            page="https://github.com/FuxiaoLiu/LRV-Instruction",
        ),
        _VG,
        _VG_2,
    ),
    licence="BSD 3-Clause for the repository: https://github.com/FuxiaoLiu/LRV-Instruction",
    facts="arXiv 2403.14520v4, section 3.3; the README of FuxiaoLiu/LRV-Instruction",
    notes=(
        "Rows are {image_id, question, answer, task}: cobra-kit data convert lrv-instruct {root}/lrv/filter_cap.json "
        "{root}/lrv/filter_cap_more.json --images {root}/images --out {root}/lrv_rows.jsonl",
        "Its part about charts has images of its own; only the parts about Visual Genome are converted.",
    ),
    settings="data: {source: llava/rows, rows: {root}/lrv_rows.jsonl, images: {root}/images}",
)
ALIGN = PublicSet(
    name="llava-align-558k",
    title="LLaVA's alignment captions: 558K images of LAION, CC and SBU",
    files=(
        PublicFile(
            path="blip_laion_cc_sbu_558k.json",
            what="the captions",
            link=f"{_HUB}/liuhaotian/LLaVA-Pretrain/resolve/main/blip_laion_cc_sbu_558k.json",
        ),
        PublicFile(
            path="archives/llava-pretrain.zip",
            what="their images",
            link=f"{_HUB}/liuhaotian/LLaVA-Pretrain/resolve/main/images.zip",
            unpacked="images",
            holds="images/00000",
        ),
    ),
    licence=f"that of the images' makers, see its page: {_HUB}/liuhaotian/LLaVA-Pretrain",
    facts=_FACTS,
    notes=("Its images lie beside those of the instruction rows, so that one `images` serves both stages.",),
    settings="data: {source: llava/rows, rows: ROWS, "
    "captions: {root}/blip_laion_cc_sbu_558k.json, images: {root}/images}",
)

SETS = (MIX, LVIS, LRV, ALIGN)
"""All of them."""
