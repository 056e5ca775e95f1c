"Offline handwritten-signature verification with Siamese networks in Keras. Kept by hand; nbdev writes only the version."
__version__ = "0.1.0"

import importlib as _importlib

_MODULES = {  # module -> the names that `from siamese_sig import …` finds in it; nothing is loaded before it is asked for
    "core.messages": ["DataError"],
    "core.settings": ["RECIPES", "Settings", "original"],
    "core.scan": ["read_rgb"],
    "core.ink": ["ink_mask", "ink_pixels", "preprocess"],
    "core.layouts": ["default_data", "embedded_data", "read_dataset", "read_images", "read_pairs", "read_signatures"],
    "core.images": ["load_images"],
    "core.kaggle": ["download_kaggle"],
    "data": ["audit", "leak_warning", "make_pairs", "plot_shortcuts", "read_traits", "shortcut_table", "show_pairs", "split_pairs"],
    "backbones": ["BACKBONES", "backbone_table", "build_encoder"],
    "losses": ["Contrastive", "CrossEntropy", "Triplet"],
    "siamese": ["build_head", "encode", "score_pairs", "siamese_model"],
    "train": ["export_run", "load_history", "load_run", "plot_history", "resume_run", "train_run"],
    "evaluate": ["calibrate_run", "eer", "evaluate_run", "far_frr", "reference_rows", "summary_rows", "writer_bootstrap"],
    "synth": ["signature", "synthesize"],
    "verify": ["Verdict", "Verifier", "adapt", "calibrate", "explain", "plot_contributions"],
    "score": ["score_file"],
    "archive": ["enrol", "forget", "read_enrolled"],
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}
__all__ = sorted(_MODULE_OF)  # noqa: PLE0605


def __getattr__(name):
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'siamese_sig' has no attribute {name!r}")
    return getattr(_importlib.import_module(f"siamese_sig.{_MODULE_OF[name]}"), name)


def __dir__():
    return sorted([*globals(), *__all__])
