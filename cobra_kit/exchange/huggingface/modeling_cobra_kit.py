"""Opens this folder for transformers. The model itself is cobra-kit's, which must be installed.

Copied into every folder that `cobra-kit export --format huggingface` writes.
"""

try:
    from cobra_kit.exchange.huggingface.model import CobraKitConfig, CobraKitModel
    from cobra_kit.exchange.huggingface.processor import CobraKitProcessor
except ImportError as error:
    raise ImportError(
        "this model was exported by cobra-kit and needs it: pip install cobra-kit (and plugins that lock.json names). "
        f"The import failed with: {error}"
    ) from error

__all__ = ["CobraKitConfig", "CobraKitModel", "CobraKitProcessor"]
