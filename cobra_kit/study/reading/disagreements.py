"""Questions on which two arms of a study disagree: counted, and a sample that is the same each time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from cobra_kit.report import AblationTable
from cobra_kit.report.view import DisagreementExample, DisagreementQuestion, Reply
from cobra_kit.statistics import QuestionScore
from cobra_kit.study.reading.report_images import ReportImages
from cobra_kit.study.reading.results import run_scores
from cobra_kit.study.reading.stored_study import StoredRun, StoredStudy

_MOST_IMAGES = 96
_MOST_EACH = 3
_DIFFERS = 0.5

_Pair = tuple[QuestionScore, QuestionScore]


def disagreements(study: StoredStudy, table: AblationTable, images: ReportImages) -> tuple[DisagreementExample, ...]:
    """Returns, for the reference and each other arm, the questions that one answers and the other does not.

    Args:
        study: The study whose answers are compared.
        table: The study's table; the first of its seeds is looked at.
        images: Where prompts and images come from.
    """
    seed = table.seeds[0]
    contests = [
        (arm, benchmark, won, lost, count)
        for arm in table.others
        for benchmark, won, lost, count in _differing(study, table.reference, arm, seed)
    ]
    each = max(1, min(_MOST_EACH, _MOST_IMAGES // (2 * len(contests)))) if contests else 0
    result = []
    left = _MOST_IMAGES
    for arm, benchmark, won, lost, count in contests:
        pairs = [*_sample(benchmark, won, each), *_sample(benchmark, lost, each)][:left]
        left -= len(pairs)
        result.append(
            DisagreementExample(
                benchmark=benchmark,
                reference=table.reference,
                other=arm,
                seed=seed,
                questions=count,
                won=len(won),
                lost=len(lost),
                sample=tuple(_as_question(benchmark, table.reference, arm, pair, images) for pair in pairs),
            )
        )
    return tuple(result)


def _differing(
    study: StoredStudy, reference: str, arm: str, seed: int
) -> Iterator[tuple[str, list[_Pair], list[_Pair], int]]:
    """Yields (benchmark, pairs that the arm wins, pairs that it loses, questions that both answered)."""
    ours, other = (run_scores(study.folder.run(StoredRun(name, seed))) for name in (reference, arm))
    for benchmark, scores in ours.items():
        answered = {score.question_id: score for score in other.get(benchmark, ())}
        pairs = [(score, answered[score.question_id]) for score in scores if score.question_id in answered]
        won = [pair for pair in pairs if pair[1].score - pair[0].score >= _DIFFERS]
        lost = [pair for pair in pairs if pair[0].score - pair[1].score >= _DIFFERS]
        yield benchmark, won, lost, len(pairs)


def _sample(benchmark: str, pairs: Sequence[_Pair], count: int) -> list[_Pair]:
    """Returns some pairs, by a hash of the question: no order of the file decides which, and no random number."""

    def place(pair: _Pair) -> str:
        return hashlib.sha256(f"{benchmark}/{pair[0].question_id}".encode()).hexdigest()

    return sorted(pairs, key=place)[:count]


def _as_question(benchmark: str, reference: str, arm: str, pair: _Pair, images: ReportImages) -> DisagreementQuestion:
    ours, other = pair
    return DisagreementQuestion(
        question_id=ours.question_id,
        group=ours.group,
        prompt=images.prompt(benchmark, ours.question_id),
        truth=ours.answer,
        replies=(_reply(reference, ours), _reply(arm, other)),
        image=images.image(ours.image),
    )


def _reply(arm: str, score: QuestionScore) -> Reply:
    return Reply(arm=arm, text=score.prediction, score=score.score)
