"""Composition root of the scorer: ``python -m services.scorer.main``."""

# Every scoring process imports this module once more, as __mp_main__, and needs nothing of the service.
if __name__ != "__mp_main__":
    from services.scorer.settings import ScorerSettings
    from services.scorer.wiring import build
    from winnow.runtime.service import run

    __all__ = ["build"]

    if __name__ == "__main__":
        run("scorer", ScorerSettings.load, build)
