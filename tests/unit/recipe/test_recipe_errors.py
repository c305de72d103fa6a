"""Every bad recipe is refused with a text that names the file, the line, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from toy_components import WHOLE

from cobra_kit._plugins import Registry
from cobra_kit.errors import RecipeError
from cobra_kit.recipe import RecipeProblems, load_recipe

Refused = Callable[..., str]
ARMS = "ablation:\n  factor: model.projector\n  reference: a\n  arms:\n    a: {}\n"


def test_unknown_component_names_near_ones_and_the_plugins_that_failed(refused: Refused) -> None:
    text = refused(WHOLE.replace("map/mlp", "map/mpl"))
    assert text.startswith("mine.yaml:4: model.projector.use: no projector named 'map/mpl'")
    assert "did you mean map/mlp?" in text
    assert "resampler (my-toys 0.2.0): No module named 'einops'" in text


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("title:", "titel:", "mine.yaml:1: titel: unknown key\n       did you mean title?"),
        ("  projector:", "  projectr:", "mine.yaml:4: model.projectr: unknown key (did you mean model.projector?)"),
        ("hidden:", "hiden:", "mine.yaml:4: model.projector.hiden: unknown key\n"
         "       did you mean model.projector.hidden?"),
        ("{use: lm/tiny}", "{use: lm/tiny, sizes: {wdth: 3}}", "mine.yaml:6: model.backbone.sizes.wdth: unknown key\n"
         "       did you mean model.backbone.sizes.width?"),
        ("title:", "extend:", "did you mean extends?"),
        ("title: Toy", "zzz: 1", "known keys: title, description"),
    ],
)  # fmt: skip
def test_misspelled_key_names_the_nearest_and_the_line(refused: Refused, old: str, new: str, expected: str) -> None:
    assert expected in refused(WHOLE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("hidden: 16", "hidden: big", 'mine.yaml:4: model.projector.hidden: expected an integer, found "big"'),
        ("hidden: 16", "hidden: 1.5", "expected an integer, found 1.5"),
        ("hidden: 16", "hidden: '16'", 'expected an integer, found "16"'),
        ("hidden: 16", "hidden: true", "expected an integer, found true"),
        ("hidden: 16", "dropout: no", 'expected a number, found "no"'),
        ("hidden: 16", "act: tanh", """expected 'gelu' or 'relu', found "tanh\""""),
        ("hidden: 16", "act: relu, depth: 1", "mine.yaml:4: model.projector: relu needs a depth of at least 2"),
        ("see/small", "see/small, image_size: big", 'image_size: expected an integer or a list, found "big"'),
        ("see/small", "see/small, image_size: -3", "expected greater than 0 or a list, found -3"),
        ("title: Toy", "title: [Toy]", 'mine.yaml:1: title: expected a text, found ["Toy"]'),
        ("title: Toy", "seed: seven", 'mine.yaml:1: seed: expected an integer, found "seven"'),
        ("{use: lm/tiny}", "lm/tiny", 'mine.yaml:6: model.backbone: expected a mapping, found "lm/tiny"'),
        ("use: lm/tiny", "sizes: {}", "mine.yaml:6: model.backbone.use: is missing"),
        ("  backbone: {use: lm/tiny}", "", "mine.yaml:2: model.backbone: is missing"),
    ],
)  # fmt: skip
def test_wrong_type_says_what_was_expected_and_found(refused: Refused, old: str, new: str, expected: str) -> None:
    assert expected in refused(WHOLE.replace(old, new))


def test_all_errors_of_a_recipe_are_reported_together_in_order(write: Callable[..., str], registry: Registry) -> None:
    broken = WHOLE.replace("title", "titel").replace("hidden: 16", "hiden: 16").replace("lm/tiny", "lm/tyny")
    with pytest.raises(RecipeProblems) as caught:
        load_recipe(write(broken), registry=registry)
    assert [str(problem.where) for problem in caught.value.problems] == [
        "mine.yaml:1: titel",
        "mine.yaml:4: model.projector.hiden",
        "mine.yaml:6: model.backbone.use",
    ]
    assert str(caught.value).splitlines()[0] == "3 errors in mine.yaml"
    assert len(str(caught.value).splitlines()) == 4


def test_a_search_without_a_space_is_refused(refused: Refused) -> None:
    assert refused(f"{WHOLE}sweep: {{}}\n").startswith("mine.yaml:7: sweep.space: is missing")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "mine.yaml: the recipe is empty"),
        ("# nothing\n", "mine.yaml: the recipe is empty"),
        ("- a\n", "mine.yaml:1: expected keys and values, such as 'title: ...', found [\"a\"]"),
        ("just text", "expected keys and values"),
        ("title: a\nmodel:\n\tprojector: x\n", "mine.yaml:3: not valid YAML: a tab cannot indent or separate here"),
        ("title: [a\nseed: 1\n", "mine.yaml:2: not valid YAML: expected ',' or ']'"),
        ("title: a: b\n", "mine.yaml:1: not valid YAML: mapping values are not allowed here\n       title: a: b"),
        ("title: a\n---\ntitle: b\n", "not valid YAML: more than one document"),
        ("title: a\nseed: 1\ntitle: b\n", "mine.yaml:3: the key 'title' stands twice\n       It stands in line 1 too."),
        ("title: !!python/object/apply:os.system [ls]\n", "the tag '!!python/object/apply:os.system' is not allowed"),
        ("title: &x !!python/name:os.system ''\n", "mine.yaml:1: the tag '!!python/name:os.system' is not allowed"),
        ("!!python/name:os.system '': 1\n", "is not allowed"),
        ("title: !mine x\n", "the tag '!mine' is not allowed"),
        ("title: !!timestamp 2024-01-01\n", "the tag '!!timestamp' is not allowed"),
        ("title: &a [*a]\n", "an alias points at a value that contains it"),
        ("title: *a\n", "found undefined alias"),
        ("a: &a {b: 1}\nc: {<<: *a}\n", "merge keys ('<<') are not part of a recipe"),
        ("? [a]\n: 1\n", "a key must be a name"),
        ("seed: !!int abc\n", "'abc' does not fit its tag '!!int'"),
        ("seed: .nan\n", "'.nan' is not a finite number"),
        ("seed: 1e999\n", "'1e999' is not a finite number"),
        (f"seed: {'9' * 5000}\n", "is too long"),
        ('title: "\\ud800"\n', "half of a surrogate pair"),
        (b"title: \xff\n", "mine.yaml: not UTF-8: byte 7 is 0xff"),
        (b"title: \x00\n", "holds a NUL byte at 7: it was not written to its end"),
        ("[" * 5000, "nested too deeply"),
        ("a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
         "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n", "more than 50,000 values"),
    ],
)  # fmt: skip
def test_text_that_is_no_plain_yaml_mapping(refused: Refused, text: str | bytes, expected: str) -> None:
    assert expected in refused(text)


def test_missing_file_names_near_ones(write: Callable[..., str], registry: Registry) -> None:
    write(WHOLE)
    with pytest.raises(RecipeError, match=r"no recipe 'mien\.yaml'\n +did you mean mine\.yaml\?"):
        load_recipe("mien.yaml", registry=registry)
    with pytest.raises(RecipeError, match=r"no recipe 'cobra_tini'\n +did you mean cobra_tiny\?"):
        load_recipe("cobra_tini", registry=registry)


def test_folder_and_impossible_paths(tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "x.yaml").mkdir()
    with pytest.raises(RecipeError, match="is a folder, not a recipe"):
        load_recipe(tmp_path / "x.yaml", registry=registry)
    for impossible in ("a" * 5000, "a\0b"):
        with pytest.raises(RecipeError):
            load_recipe(impossible, registry=registry)


def test_cycle_prints_the_chain(write: Callable[..., str], refused: Refused) -> None:
    write("extends: c.yaml\n", "b.yaml")
    write("title: x\nextends: mine.yaml\n", "c.yaml")
    text = refused("extends: b.yaml\n")
    assert text.startswith("c.yaml:2: extends: recipes extend each other in a circle")
    assert "mine.yaml -> b.yaml -> c.yaml -> mine.yaml" in text
    assert "mine.yaml -> mine.yaml" in refused("extends: mine.yaml\n")


def test_bad_extends(refused: Refused) -> None:
    assert refused("title: a\nextends: nowhere\n").startswith("mine.yaml:2: extends: no recipe 'nowhere'")
    assert 'extends: expected the name or path of one recipe, found ["a"]' in refused("extends: [a]\n")


@pytest.mark.parametrize(
    ("profiles", "profile", "expected"),
    [
        ("{laptop: {}, paper: {}}", "papr", "mine.yaml:7: profiles: no profile named 'papr'\n"
         "       did you mean paper?"),
        ("{}", "paper", "no profile named 'paper'\n       profiles: none"),
        ("{a: {}, b: {}}", None, "mine.yaml:7: profiles: choose a profile: a, b\n       --profile a"),
        ("[laptop]", None, 'profiles: expected one mapping per profile, found ["laptop"]'),
        ("{laptop: 3}", None, "profiles.laptop: expected what the profile changes, found 3"),
        ("{laptop: {extends: x}}", None, "profiles.laptop.extends: a profile cannot change extends"),
        ("{laptop: {}, paper: {sede: 1}}", None, "mine.yaml:7: sede: unknown key\n       did you mean seed?"),
    ],
)  # fmt: skip
def test_profiles(refused: Refused, profiles: str, profile: str | None, expected: str) -> None:
    assert expected in refused(f"{WHOLE}profiles: {profiles}\n", profile=profile)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("model.projector", "--set model.projector: expected key=value"),
        ("=3", "--set =3: expected key=value"),
        ("model..use=3", "expected key=value"),
        ("title=[1", "--set title=[1: not valid YAML"),
        ("model.projectr.use=map/mlp", "--set model.projectr.use=map/mlp: model.projectr: unknown key"),
        ("model.projector.hiden=3", "--set model.projector.hiden=3: model.projector.hiden: unknown key"),
        ("model.projector.hidden=x", '=x: model.projector.hidden: expected an integer, found "x"'),
        ("extends=a.yaml", "extends cannot be set here"),
        ("profiles.laptop.seed=1", "profiles cannot be set here"),
        ("ablation.seeds.0=1", "ablation.seeds is a list\n       Give the whole list: --set 'ablation.seeds=[...]'"),
    ],
)  # fmt: skip
def test_set(refused: Refused, override: str, expected: str) -> None:
    arms = f"{ARMS}    b: {{model: {{projector: {{use: pool/mean}}}}}}\n  seeds: [1]\n"
    assert expected in refused(WHOLE + arms, override)


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        ("cobra-kit>=99", "mine.yaml:7: requires.0: needs cobra-kit>=99, but 0.1.0 is installed"),
        ("no-such-thing-1", "needs no-such-thing-1, but it is not installed\n       pip install 'no-such-thing-1'"),
        ("not a requirement", "expected a requirement such as 'name>=1.2', found 'not a requirement'"),
    ],
)
def test_unmet_requirements(refused: Refused, requirement: str, expected: str) -> None:
    assert expected in refused(f"{WHOLE}requires: ['{requirement}']\n")
