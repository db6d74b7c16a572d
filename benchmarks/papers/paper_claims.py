"""What this project asks for and what the papers claim, as statements about rows.

Each stands for one backbone and one motion at a time; see verdicts.py for how it is judged.
"""

from __future__ import annotations

from collections.abc import Sequence

from .claims import Claim, Name
from .results import APPEARANCE, FIDELITY, LEAKAGE
from .rows import BASE, COUPLED, COUPLED_CAPTIONED, METHODS, TERSE_METHODS, Variant
from .verdicts import (
    All,
    Either,
    Exceeds,
    Higher,
    Lower,
    NotLower,
    Reaches,
    Statement,
    TrainedWithin,
)

FIDELITY_WANTED = 0.85
ABOVE_BASE = 0.3
APPEARANCE_MARGIN = 0.1
TRAINING_SECONDS = 180.0


def leaks_more(row: str, than: str) -> Statement:
    """Worse in appearance or in leakage."""
    return Either((Lower(row, than, APPEARANCE), Higher(row, than, LEAKAGE)))


def _learns(method: str) -> Claim:
    def statement(name: Name) -> Statement:
        row, base = name(method), name(BASE.name)
        return All(
            (
                Reaches(row, FIDELITY, FIDELITY_WANTED),
                Exceeds(row, base, FIDELITY, ABOVE_BASE),
                Exceeds(row, base, APPEARANCE, -APPEARANCE_MARGIN),
                TrainedWithin(row, TRAINING_SECONDS),
            )
        )

    return Claim(
        key=f"{method}.learns",
        about=method,
        source="this project",
        words="learns the motion (fidelity at least 0.85, and 0.3 above the base) and preserves "
        "the appearance (within 0.1 of the base) in at most 3 minutes of training",
        statement=statement,
    )


def _couples(key: str, coupled: Variant, methods: Sequence[Variant]) -> Claim:
    def statement(name: Name) -> Statement:
        return All([leaks_more(name(coupled.name), name(method.name)) for method in methods])

    return Claim(
        key=key,
        about=coupled.name,
        source="MotionDirector, Sec. 4.1",
        words="coupled tuning will destroy the appearance diversity of pre-trained models, while "
        "our method will preserve it (here: each of the four methods)",
        statement=statement,
    )


CLAIMS: tuple[Claim, ...] = (
    *(_learns(method.name) for method in METHODS),
    _couples("coupled.worse", COUPLED, TERSE_METHODS),
    _couples("coupled.worse-captioned", COUPLED_CAPTIONED, METHODS),
    Claim(
        key="motion-director.debiased",
        about="motion-director-plain",
        source="MotionDirector, Sec. 4.1",
        words="the appearance-debiased temporal loss enhances the learning of desired motion "
        "better, without hurting the appearance",
        statement=lambda name: All(
            (
                Higher(name("motion-director-terse"), name("motion-director-plain"), FIDELITY),
                NotLower(
                    name("motion-director-terse"),
                    name("motion-director-plain"),
                    APPEARANCE,
                    APPEARANCE_MARGIN,
                ),
            )
        ),
    ),
    Claim(
        key="motion-crafter.beta-diversity",
        about="motion-crafter-beta-1",
        source="MotionCrafter v2, Sec. 4.5",
        words="a large β leads to greater diversity in the appearance, a small one to an "
        "appearance closer to the reference (20 against 1)",
        statement=lambda name: leaks_more(
            name("motion-crafter-beta-1"), name("motion-crafter-beta-20")
        ),
    ),
    Claim(
        key="motion-crafter.beta-rigid",
        about="motion-crafter-beta-1",
        source="MotionCrafter v2, Sec. 4.5",
        words="with β = 1 the shape of objects is difficult to alter, with 5 shapes vary",
        statement=lambda name: leaks_more(
            name("motion-crafter-beta-1"), name("motion-crafter-beta-5")
        ),
    ),
    Claim(
        key="motion-crafter.beta-motion",
        about="motion-crafter-beta-20",
        source="MotionCrafter v2, Sec. 4.5",
        words="an excessively large β (20) impairs the model's ability to learn the motion",
        statement=lambda name: Lower(
            name("motion-crafter-beta-20"), name("motion-crafter-beta-5"), FIDELITY
        ),
    ),
    Claim(
        key="motion-crafter.beta-own",
        about="motion-crafter-beta-20",
        source="MotionCrafter v2, Sec. 4.5",
        words="both, comparing β = 20 with the small bases' default of 0.01: greater diversity in "
        "the appearance, and less of the motion",
        statement=lambda name: All(
            (
                leaks_more(name("motion-crafter-terse"), name("motion-crafter-beta-20")),
                Lower(name("motion-crafter-beta-20"), name("motion-crafter-terse"), FIDELITY),
            )
        ),
    ),
    Claim(
        key="motion-crafter.timesteps",
        about="motion-crafter-uniform",
        source="MotionCrafter v2, Fig. 7",
        words="without timestep tuning, the accuracy of motion learning is lower",
        statement=lambda name: Lower(
            name("motion-crafter-uniform"), name("motion-crafter-terse"), FIDELITY
        ),
    ),
    Claim(
        key="motion-crafter.layers",
        about="motion-crafter-deep-blocks",
        source="MotionCrafter v2, Sec. 4.5",
        words="without U-Net layered tuning, the appearance is influenced by the reference video",
        statement=lambda name: leaks_more(
            name("motion-crafter-terse"), name("motion-crafter-deep-blocks")
        ),
    ),
    Claim(
        key="motion-inversion.debias",
        about="motion-inversion-difference",
        source="Motion Inversion, Sec. 3.3",
        words="the motion value embedding may capture static appearance; differencing removes it",
        statement=lambda name: leaks_more(
            name("motion-inversion-terse"), name("motion-inversion-difference")
        ),
    ),
    Claim(
        key="motion-inversion.normalise",
        about="motion-inversion-normalise",
        source="Motion Inversion, Fig. 7 (e)",
        words="subtracting the mean instead of differencing keeps more of the reference's "
        "appearance",
        statement=lambda name: leaks_more(
            name("motion-inversion-normalise"), name("motion-inversion-difference")
        ),
    ),
    Claim(
        key="motion-inversion.value",
        about="motion-inversion-drop-value",
        source="Motion Inversion, Sec. 3.3",
        words="the query-key embedding alone is less effective at capturing an object's motion",
        statement=lambda name: Lower(
            name("motion-inversion-drop-value"), name("motion-inversion-terse"), FIDELITY
        ),
    ),
    Claim(
        key="motion-inversion.value-1d",
        about="motion-inversion-1d-1d",
        source="Motion Inversion, Sec. 3.3",
        words="a value embedding without space is less effective at capturing local motion",
        statement=lambda name: Lower(
            name("motion-inversion-1d-1d"), name("motion-inversion-terse"), FIDELITY
        ),
    ),
    Claim(
        key="motion-inversion.query-key-2d",
        about="motion-inversion-2d-2d",
        source="Motion Inversion, Sec. 3.3",
        words="with space in the query-key embedding, appearance would be captured in it",
        statement=lambda name: leaks_more(
            name("motion-inversion-2d-2d"), name("motion-inversion-terse")
        ),
    ),
    Claim(
        key="motion-inversion.query-key-2d-alone",
        about="motion-inversion-2d-1d",
        source="Motion Inversion, Fig. 7 (a), (b)",
        words="the same when the value embedding has no space",
        statement=lambda name: leaks_more(
            name("motion-inversion-2d-1d"), name("motion-inversion-1d-1d")
        ),
    ),
    Claim(
        key="motrans.recaption",
        about="motrans-no-recaption",
        source="MoTrans, Table 2",
        words="without the recaptioner the appearance is overfitted (CLIP-E 0.2101 against 0.2173)",
        statement=lambda name: leaks_more(name("motrans-no-recaption"), name("motrans-terse")),
    ),
    Claim(
        key="motrans.recaption-motion",
        about="motrans-no-recaption",
        source="MoTrans, Table 2",
        words="without the recaptioner the motion fidelity is higher (0.6129 against 0.5679)",
        statement=lambda name: Higher(
            name("motrans-no-recaption"), name("motrans-terse"), FIDELITY
        ),
    ),
    Claim(
        key="motrans.injector",
        about="motrans-no-injector",
        source="MoTrans, Table 2",
        words="without the appearance injector the appearance is overfitted (CLIP-E 0.2034 against "
        "0.2173)",
        statement=lambda name: leaks_more(name("motrans-no-injector"), name("motrans-terse")),
    ),
    Claim(
        key="motrans.injector-motion",
        about="motrans-no-injector",
        source="MoTrans, Table 2",
        words="without the appearance injector the motion fidelity is higher (0.6150 against "
        "0.5679)",
        statement=lambda name: Higher(name("motrans-no-injector"), name("motrans-terse"), FIDELITY),
    ),
    Claim(
        key="motrans.enhancer",
        about="motrans-no-enhancer",
        source="MoTrans, Table 2",
        words="without the motion enhancer the motion fidelity is lower (0.5643 against 0.5679)",
        statement=lambda name: Lower(name("motrans-no-enhancer"), name("motrans-terse"), FIDELITY),
    ),
)
