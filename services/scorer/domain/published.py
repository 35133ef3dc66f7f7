"""Published maps from raw values to scores, used where a profile gives none of its own.

Source: scalar mappings of the ISO/IEC 29794-5 reference implementation (OFIQ 1.0.3). Raw values are taken by other
networks than OFIQ's, so a profile that requires one of these sets its own limit, measured with this code.
"""

from __future__ import annotations

from typing import Final

from services.scorer.domain.quality_profile import ScoreMapping

PUBLISHED: Final[dict[str, ScoreMapping]] = {
    "inter_eye_distance": ScoreMapping(x0=70.0, w=20.0),
    "head_size": ScoreMapping(x0=0.0, w=0.05, h=200.0, a=1.0, s=-1.0),
    "margin_left": ScoreMapping(x0=0.9, w=0.1),
    "margin_right": ScoreMapping(x0=0.9, w=0.1),
    "margin_above": ScoreMapping(x0=1.4, w=0.1),
    "margin_below": ScoreMapping(x0=1.8, w=0.1),
    "mouth_closed": ScoreMapping(x0=0.2, w=0.06, a=1.0, s=-1.0),
    "natural_colour": ScoreMapping(x0=0.0, w=10.0, h=200.0, a=1.0, s=-1.0),
    "background_uniformity": ScoreMapping(x0=10.0, w=100.0, h=190.0, a=1.0, s=-1.0),
}
