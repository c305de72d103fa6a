from __future__ import annotations

from pathlib import Path

import pytest
from fake_packages import projector_module, write_package

from cobra_kit._plugins import Registry
from cobra_kit.errors import PluginError
from cobra_kit.plugin import Kind


def add(site: Path, plugin: str, names: list[str], *, package: str | None = None) -> None:
    module = f"fake_{(package or plugin).replace('-', '_')}"
    specs = "".join(
        f"    yield ProjectorSpec(name={name!r}, summary='', target='a:B', config='a:C')\n" for name in names
    )
    source = f"from cobra_kit.plugin import ProjectorSpec, hookimpl\n@hookimpl\ndef cobra_projectors():\n{specs}"
    write_package(site, package or f"fake-{plugin}", plugins={plugin: module}, modules={module: source})


def text_of(registry: Registry, name: str, kind: Kind = "projector") -> str:
    with pytest.raises(PluginError) as caught:
        registry.get(kind, name)
    return str(caught.value)


def test_qualified_and_unique_short_names(site: Path) -> None:
    add(site, "ldpv2", ["fused", "plain"])
    registry = Registry.discover()
    assert registry.get("projector", "ldpv2/fused") == registry.get("projector", "fused")
    assert registry.find("fused") == registry.find("ldpv2/fused") == registry.get("projector", "fused")
    assert [component.qualified for component in registry.components("projector")] == ["ldpv2/fused", "ldpv2/plain"]
    assert registry.components("backbone") == []


def test_a_short_name_of_two_plugins_is_ambiguous_and_only_that_name(site: Path) -> None:
    add(site, "ldpv2", ["fused", "plain"])
    add(site, "zmlp", ["fused"])
    registry = Registry.discover()
    assert text_of(registry, "fused") == (
        "projector 'fused' is ambiguous: ldpv2/fused (fake-ldpv2 1.0) or zmlp/fused (fake-zmlp 1.0)\n"
        "       write the qualified name"
    )
    assert registry.get("projector", "zmlp/fused").distribution == "fake-zmlp 1.0"
    assert registry.get("projector", "plain").qualified == "ldpv2/plain"
    with pytest.raises(PluginError, match="'fused' is ambiguous: projector ldpv2/fused or projector zmlp/fused"):
        registry.find("fused")


def test_two_packages_with_one_plugin_id_block_that_id_only(site: Path) -> None:
    add(site, "mlp", ["gelu"])
    add(site, "mlp", ["mine"], package="fake-squatter")
    add(site, "other", ["mean"])
    registry = Registry.discover()
    conflict = (
        "plugin id 'mlp' is claimed by fake-mlp 1.0 and fake-squatter 1.0\n"
        "       uninstall all but one of them; until then nothing named mlp/... can be used"
    )
    for name in ("mlp/gelu", "gelu", "mlp/mine", "mine", "mlp/nothing"):
        assert text_of(registry, name) == conflict
    with pytest.raises(PluginError, match=r"is claimed by fake-mlp 1\.0 and fake-squatter 1\.0"):
        registry.find("mlp/gelu")
    assert registry.get("projector", "other/mean").qualified == "other/mean"
    assert registry.conflicts() == {"mlp": ["fake-mlp 1.0", "fake-squatter 1.0"]}


def test_a_broken_squatter_blocks_too(site: Path) -> None:
    add(site, "mlp", ["gelu"])
    write_package(site, "fake-squatter", plugins={"mlp": "fake_squatter"}, modules={"fake_squatter": "1 / 0"})
    assert "is claimed by fake-mlp 1.0 and fake-squatter 1.0" in text_of(Registry.discover(), "mlp/gelu")


def test_recipes_of_ids_in_conflict_are_left_out(site: Path) -> None:
    source = (
        "from pathlib import Path\nfrom cobra_kit.plugin import hookimpl\n"
        "@hookimpl\ndef cobra_recipes(): return [Path(__file__).with_name('mine.yaml')]"
    )
    (site / "mine.yaml").write_text("")
    for package in ("fake-a", "fake-b"):
        module = package.replace("-", "_")
        write_package(site, package, plugins={"same": module}, modules={module: source})
    assert Registry.discover().recipes() == {}


@pytest.mark.parametrize("name", ["ldpv2/fussed", "fussed", "lpdv2/fused"])
def test_unknown_names_have_near_names_each_once(site: Path, name: str) -> None:
    add(site, "ldpv2", ["fused", "plain"])
    assert text_of(Registry.discover(), name) == (
        f"no projector named {name!r}\n"
        "       did you mean ldpv2/fused?  cobra-kit plugins list --kind projector shows all 2"
    )


def test_unknown_name_with_nothing_near(site: Path) -> None:
    add(site, "ldpv2", ["fused", "plain"])
    assert text_of(Registry.discover(), "zzzzzz") == (
        "no projector named 'zzzzzz'\n       cobra-kit plugins list --kind projector shows all 2"
    )


def test_nothing_of_that_kind_is_installed(site: Path) -> None:
    assert text_of(Registry.discover(), "tiny", "fusion") == (
        "no fusion scheme named 'tiny'\n       no fusion scheme is installed"
    )


def test_a_component_of_another_kind(site: Path) -> None:
    add(site, "ldpv2", ["fused"])
    assert text_of(Registry.discover(), "ldpv2/fused", "vision_encoder") == (
        "no vision encoder named 'ldpv2/fused'\n"
        "       ldpv2/fused is a projector\n"
        "       no vision encoder is installed"
    )


def test_unknown_name_lists_the_plugin_that_failed(site: Path) -> None:
    add(site, "ldpv2", ["fused"])
    write_package(site, "my-projectors", plugins={"resampler": "fake_resampler"}, modules={}, version="0.2.0")
    assert text_of(Registry.discover(), "perceiver") == (
        "no projector named 'perceiver'\n"
        "       cobra-kit plugins list --kind projector shows all 1\n"
        "       1 plugin failed to load and may provide it: "
        "resampler (my-projectors 0.2.0): No module named 'fake_resampler'"
    )


def test_unknown_name_lists_several_plugins_that_failed(site: Path) -> None:
    write_package(site, "fake-a", plugins={"a": "fake_a"}, modules={"fake_a": "1 / 0"})
    write_package(site, "fake-b", plugins={"b": "fake_b"}, modules={}, group="cobra_kit.v2")
    assert text_of(Registry.discover(), "perceiver") == (
        "no projector named 'perceiver'\n"
        "       no projector is installed\n"
        "       2 plugins failed to load and may provide it:\n"
        "         a (fake-a 1.0): ZeroDivisionError: division by zero\n"
        "         b (fake-b 1.0): it declares plugin API v2, this cobra-kit speaks v1"
    )


def test_a_component_of_a_broken_plugin(site: Path) -> None:
    write_package(site, "fake-a", plugins={"a": "fake_a"}, modules={"fake_a": "1 / 0"})
    assert text_of(Registry.discover(), "a/mean") == (
        "no projector named 'a/mean': plugin a (fake-a 1.0) is broken: ZeroDivisionError: division by zero"
    )


def test_a_component_of_a_blocked_plugin(site: Path) -> None:
    add(site, "a", ["mean"])
    registry = Registry.discover(enabled=False)
    assert text_of(registry, "a/mean") == (
        "no projector named 'a/mean': plugin a (fake-a 1.0) is blocked: --no-plugins"
    )
    assert text_of(registry, "mean").endswith("\n       1 plugin is blocked (--no-plugins)")


def test_find_names_neither_plugin_nor_component(site: Path) -> None:
    add(site, "ldpv2", ["fused"])
    with pytest.raises(PluginError) as caught:
        Registry.discover().find("ldpv3")
    assert str(caught.value) == (
        "no plugin or component named 'ldpv3'\n       did you mean ldpv2?  cobra-kit plugins list shows all"
    )


def test_first_party_has_no_precedence(site: Path) -> None:
    """A stranger's plugin and ours differ in nothing: the same short name is ambiguous, whoever registers first."""
    write_package(site, "cobra-kit", plugins={"mlp": "fake_ours"}, modules={"fake_ours": projector_module("fake_ours")})
    write_package(
        site, "a-stranger", plugins={"pool": "fake_theirs"}, modules={"fake_theirs": projector_module("fake_theirs")}
    )
    registry = Registry.discover()
    assert "pool/mean (a-stranger 1.0) or mlp/mean (cobra-kit 1.0)" in text_of(registry, "mean")
