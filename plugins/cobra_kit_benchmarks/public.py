"""The official files of the nine benchmarks, for `data prepare`, each set in a folder of its name below the root.

Names, splits and counts are those of the readers and of PAPER.md section 4; addresses are the makers' own, as their
pages give them. None of them states a checksum.
"""

from __future__ import annotations

from cobra_kit.interfaces import PublicFile, PublicSet

_FACTS = "arXiv 2403.14520v4, appendix, and h-zhao1997/vlm-evaluation (b0a691f), which the paper evaluates with"
_COCO = "http://images.cocodataset.org/zips"
_VQA = "https://s3.amazonaws.com/cvmlp/vqa/mscoco/vqa"
_VIZWIZ = "https://vizwiz.cs.colorado.edu/VizWiz_final"
_POPE = "https://raw.githubusercontent.com/AoiDragon/POPE/main/output/coco"
_VSR = "https://huggingface.co/datasets/cambridgeltl/vsr_zeroshot"
_REFER = "https://github.com/lichengunc/refer"


def _zip(place: str, what: str, link: str, unpacked: str, holds: str | None = None) -> PublicFile:
    return PublicFile(path=f"archives/{place}.zip", what=what, link=link, unpacked=unpacked, holds=holds)


def _set(
    name: str, title: str, licence: str, files: tuple[PublicFile, ...], notes: tuple[str, ...] = ()
) -> tuple[PublicSet, ...]:
    settings = f"evaluate: {{benchmarks: [{{use: benchmarks/{name}, root: {{root}}/{name}}}]}}"
    return (
        PublicSet(name=name, title=title, files=files, licence=licence, facts=_FACTS, notes=notes, settings=settings),
    )


def _val2014(folder: str) -> PublicFile:
    return _zip(f"{folder}-val2014", "COCO val2014", f"{_COCO}/val2014.zip", f"{folder}/val2014")


def _refer(name: str, folder: str, split_by: str, title: str) -> tuple[PublicSet, ...]:
    files = (
        PublicFile(path=f"{name}/{folder}/refs({split_by}).p", what="expressions", page=_REFER),
        PublicFile(path=f"{name}/{folder}/instances.json", what="boxes and sizes of images", page=_REFER),
        _zip(f"{name}-train2014", "COCO train2014", f"{_COCO}/train2014.zip", f"{name}/train2014"),
    )
    return _set(name, title, f"see its page: {_REFER}", files)


VQAV2 = _set(
    "vqav2",
    "VQAv2 val: 214,354 questions about 40,504 images",
    "CC BY 4.0 for the annotations, see https://visualqa.org/terms.html",
    (
        _zip(
            "vqav2-annotations",
            "answers",
            f"{_VQA}/v2_Annotations_Val_mscoco.zip",
            "vqav2",
            "vqav2/v2_mscoco_val2014_annotations.json",
        ),
        _zip(
            "vqav2-questions",
            "questions",
            f"{_VQA}/v2_Questions_Val_mscoco.zip",
            "vqav2",
            "vqav2/v2_OpenEnded_mscoco_val2014_questions.json",
        ),
        _val2014("vqav2"),
    ),
)
GQA = _set(
    "gqa",
    "GQA testdev_balanced: 12,578 questions about 398 images",
    "see its page: https://cs.stanford.edu/people/dorarad/gqa/",
    (
        _zip(
            "gqa-questions",
            "questions",
            "https://downloads.cs.stanford.edu/nlp/data/gqa/questions1.2.zip",
            "gqa/questions",
            "gqa/questions/testdev_balanced_questions.json",
        ),
        _zip("gqa-images", "images", "https://downloads.cs.stanford.edu/nlp/data/gqa/images.zip", "gqa/images"),
    ),
)
VIZWIZ = _set(
    "vizwiz",
    "VizWiz val: 4,319 questions, an image each",
    "CC BY 4.0, see https://vizwiz.org/tasks-and-datasets/vqa/",
    (
        _zip("vizwiz-annotations", "answers", f"{_VIZWIZ}/vqa_data/Annotations.zip", "vizwiz/Annotations"),
        _zip("vizwiz-val", "images", f"{_VIZWIZ}/images/val.zip", "vizwiz/val"),
    ),
)
TEXTVQA = _set(
    "textvqa",
    "TextVQA 0.5.1 val: 5,000 questions about 3,166 images",
    "CC BY 4.0, see https://textvqa.org/dataset/",
    (
        PublicFile(
            path="textvqa/TextVQA_0.5.1_val.json",
            what="questions and answers",
            link="https://dl.fbaipublicfiles.com/textvqa/data/TextVQA_0.5.1_val.json",
        ),
        PublicFile(
            path="textvqa/llava_textvqa_val_v051_ocr.jsonl",
            what="OCR tokens, as LLaVA puts them into prompts",
            page="https://github.com/haotian-liu/LLaVA/blob/main/docs/Evaluation.md (in its eval.zip)",
        ),
        _zip(
            "textvqa-images",
            "images",
            "https://dl.fbaipublicfiles.com/textvqa/images/train_val_images.zip",
            "textvqa/train_images",
        ),
    ),
)
VSR = _set(
    "vsr",
    "VSR zero-shot test: 1,222 statements about 715 images",
    "Apache-2.0: https://github.com/cambridgeltl/visual-spatial-reasoning",
    (
        PublicFile(path="vsr/test.jsonl", what="statements", link=f"{_VSR}/resolve/main/test.jsonl", rows=1222),
        PublicFile(
            path="vsr/dev.jsonl", what="statements for development", link=f"{_VSR}/resolve/main/dev.jsonl", rows=340
        ),
        _zip("vsr-train2017", "COCO train2017", f"{_COCO}/train2017.zip", "vsr/images", "vsr/images"),
    ),
    ("The statements are about images of COCO train2017 and val2017: put those of val2017 into the same folder.",),
)
POPE = _set(
    "pope",
    "POPE: three times 3,000 questions about 500 images of COCO val2014",
    "MIT: https://github.com/AoiDragon/POPE",
    (
        *(
            PublicFile(
                path=f"pope/coco/coco_pope_{part}.json",
                what=f"{part} questions",
                link=f"{_POPE}/coco_pope_{part}.json",
            )
            for part in ("random", "popular", "adversarial")
        ),
        _val2014("pope"),
    ),
)
REFCOCO = _refer("refcoco", "refcoco", "unc", "RefCOCO val (unc): 10,834 expressions")
REFCOCO_PLUS = _refer("refcoco-plus", "refcoco+", "unc", "RefCOCO+ val (unc): 10,758 expressions")
REFCOCOG = _refer("refcocog", "refcocog", "umd", "RefCOCOg val (umd): 4,896 expressions")

SETS = {
    "vqav2": VQAV2,
    "gqa": GQA,
    "vizwiz": VIZWIZ,
    "textvqa": TEXTVQA,
    "vsr": VSR,
    "pope": POPE,
    "refcoco": REFCOCO,
    "refcoco-plus": REFCOCO_PLUS,
    "refcocog": REFCOCOG,
}
"""The sets by the names of their benchmarks."""
