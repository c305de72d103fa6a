"""The published VQA evaluators, written again from their description for comparison: slow, and by nobody's shortcut."""

from __future__ import annotations

import re
from collections.abc import Sequence

PUNCTUATION = [";", "/", "[", "]", '"', "{", "}", "(", ")", "=", "+", "\\", "_", "-", ">", "<", "@", "`", ",", "?", "!"]
NUMBERS = {"none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5"}
SOME_CONTRACTIONS = {"dont": "don't", "cant": "can't", "whats": "what's", "yall": "y'all", "wouldnt": "wouldn't"}


def vizwiz_contractions(mark: str) -> dict[str, str]:
    """Returns VizWiz' table for the same words: all but a few have another sign for the apostrophe."""
    return {short: word if word == "can't" else word.replace("'", mark) for short, word in SOME_CONTRACTIONS.items()}


def flat(text: str) -> str:
    return text.replace("\n", " ").replace("\t", " ").strip()


def without_punctuation(text: str) -> str:
    result = text
    for mark in PUNCTUATION:
        if mark + " " in text or " " + mark in text or re.search(r"(\d)(\,)(\d)", text) is not None:
            result = result.replace(mark, "")
        else:
            result = result.replace(mark, " ")
    return re.sub(r"(?!<=\d)(\.)(?!\d)", "", result, count=re.UNICODE.value)


def without_articles(text: str, contractions: dict[str, str]) -> str:
    words = []
    for word in text.lower().split():
        number = NUMBERS.get(word, word)
        if number not in ("a", "an", "the"):
            words.append(number)
    return " ".join(contractions.get(word, word) for word in words)


def evalai(text: str) -> str:
    text = text.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip()
    return without_articles(without_punctuation(flat(text)), SOME_CONTRACTIONS)


def vqav2(prediction: str, answers: Sequence[str]) -> float:
    """Returns `VQAEval.evaluate`'s accuracy of one question: an answer's dictionary has an id, so that none equal."""
    annotated = [{"answer": flat(answer), "answer_id": number} for number, answer in enumerate(answers)]
    prediction = flat(prediction)
    if len(set(answers)) > 1:
        for item in annotated:
            item["answer"] = without_articles(without_punctuation(str(item["answer"])), SOME_CONTRACTIONS)
        prediction = without_articles(without_punctuation(prediction), SOME_CONTRACTIONS)
    accuracies = []
    for item in annotated:
        others = [other for other in annotated if other != item]
        matching = [other for other in others if other["answer"] == prediction]
        accuracies.append(min(1, float(len(matching)) / 3))
    return float(sum(accuracies)) / len(accuracies)


def vizwiz(prediction: str, answers: Sequence[str], mark: str) -> float:
    """Returns the accuracy of one question in the VizWiz API: the answers stay as they are, and go by their place."""
    prediction = without_articles(without_punctuation(flat(prediction)), vizwiz_contractions(mark))
    accuracies = []
    for place in range(len(answers)):
        others = [answer for other, answer in enumerate(answers) if other != place]
        accuracies.append(min(1, float(len([answer for answer in others if answer == prediction])) / 3))
    return float(sum(accuracies)) / len(accuracies)


def textvqa(prediction: str, answers: Sequence[str]) -> float:
    """Returns what the M4C evaluator gives one question: a table of scores over the unique answers."""
    numbered = list(enumerate(map(evalai, answers)))
    table = {}
    for unique in {answer for _, answer in numbered}:
        accuracies = []
        for item in numbered:
            others = [other for other in numbered if other != item]
            accuracies.append(min(1, float(len([other for other in others if other[1] == unique])) / 3))
        table[unique] = sum(accuracies) / len(accuracies)
    return table.get(evalai(prediction), 0.0)


def average_precision(truth: Sequence[int], scores: Sequence[float]) -> float:
    """Returns the sum of (R_n - R_n-1) P_n over the thresholds, highest first."""
    total, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        chosen = [label for label, score in zip(truth, scores, strict=True) if score >= threshold]
        recall = sum(chosen) / sum(truth)
        total += (recall - before) * sum(chosen) / len(chosen)
        before = recall
    return total


def f1(truth: Sequence[int], predicted: Sequence[bool]) -> float:
    hits = sum(1 for label, positive in zip(truth, predicted, strict=True) if label and positive)
    if not hits:
        return 0.0
    precision, recall = hits / sum(predicted), hits / sum(truth)
    return 2 * precision * recall / (precision + recall)
