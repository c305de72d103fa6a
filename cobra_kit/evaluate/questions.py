"""Questions that a model cannot be asked, found before it is trained: a prompt is never cut, so it has to fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from cobra_kit.data.rows import Benchmark, Question
from cobra_kit.errors import CobraError, DataError, TextError
from cobra_kit.interfaces import TextCodec
from cobra_kit.text.encode import encode_conversation
from cobra_kit.text.markers import IMAGE_MARKER

_TEMPLATE_BYTES = 512
"""More than what a template writes around one question, its system prompt included."""


def check_questions(benchmarks: Mapping[str, Benchmark], images: Collection[str], codec: TextCodec) -> None:
    """Raises a `DataError` if some question is no question for this model; hours of training later it would stop a run.

    Its prompt may be too long or break the template's rules, its image may be none of the split's, and its id may
    be another question's, whose answer it would replace.

    Args:
        benchmarks: The benchmarks by name, with their questions.
        images: Names of the split's images.
        codec: Tokenizer, template and the longest text.
    """
    known = frozenset(images)
    for name, benchmark in benchmarks.items():
        ids = Counter(question.question_id for question in benchmark.questions)
        wrong = [
            (question, error)
            for question in benchmark.questions
            if (error := _problem(question, ids, known, codec)) is not None
        ]
        if wrong:
            question, error = wrong[0]
            raise DataError(
                f"{len(wrong):,} of {len(benchmark.questions):,} questions cannot be asked; the first: {error.message}",
                where=f"{name}, question {question.question_id}",
                hint="\n".join([*filter(None, [error.hint]), "Or leave the benchmark out of evaluate.benchmarks."]),
            )


def _problem(
    question: Question, ids: Mapping[str, int], images: Collection[str], codec: TextCodec
) -> CobraError | None:
    if ids[question.question_id] > 1:
        return CobraError(f"{ids[question.question_id]} questions have this id", hint="Give every question its own.")
    if question.image not in images:
        return CobraError(f"the data source lists no picture {question.image!r} for this split")
    # No token stands for less than a byte, a blank in front aside: most prompts need not be tokenised for this.
    size = len(question.prompt.encode(errors="surrogatepass"))
    if size + _TEMPLATE_BYTES <= codec.max_text_tokens and IMAGE_MARKER not in question.prompt:
        return None
    try:
        encode_conversation([(question.prompt, None)], codec, num_images=1, for_generation=True)
    except TextError as error:
        return error
    return None
