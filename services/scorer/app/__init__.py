"""The use cases of the scorer. It keeps no state."""

from services.scorer.app.scoring import (
    PICTURE_BYTES_MAX,
    SCORER_VERSION,
    Scorer,
    ScreenResult,
    to_contract,
)

__all__ = ["PICTURE_BYTES_MAX", "SCORER_VERSION", "Scorer", "ScreenResult", "to_contract"]
