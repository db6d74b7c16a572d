"""The papers' claims, in their own words, and what this project asks of its rows in their stead.

Each stands for one backbone and one motion at a time; see verdicts.py for how it is judged.
"""

from __future__ import annotations

from .claims import Claim
from .own_claims import MARGIN, OWN_CLAIMS, worse_than_each
from .results import APPEARANCE, FIDELITY
from .variants import COUPLED, TERSE_METHODS
from .verdicts import All, Higher, LeaksMore, Lower, NotLower

VALUE_EMBEDDING = (
    'Motion Inversion, Sec. 3.3: "As M^QK excludes spatial dimensions, it is better suited for '
    "representing global motion (e.g., camera motion) but is less effective at capturing local "
    'motion (e.g., instance motion)."'
)
QUERY_KEY = (
    'Motion Inversion, Sec. 3.3: "If m^QK included spatial dimensions, appearance details would be '
    'captured in the embedding, limiting the ability to transfer motion to new content."'
)
MOTRANS_TABLE = "MoTrans, Table 2, one-shot: "
BETA = "MotionCrafter v2, Sec. 4.5: "

PAPER_CLAIMS: tuple[Claim, ...] = (
    Claim(
        key="coupled.worse",
        about=COUPLED.name,
        paper='MotionDirector, Sec. 4.1: "coupled tuning will destroy the appearance diversity of '
        'pre-trained models, while our method will preserve it".',
        statement=lambda name: worse_than_each(COUPLED, TERSE_METHODS, name),
    ),
    Claim(
        key="motion-director.debiased",
        about="motion-director-plain",
        paper='MotionDirector, Sec. 4.1: "the proposed dual-path LoRAs can avoid hurting the '
        "appearance generation and the proposed appearance-debiased temporal loss enhances the "
        'learning of desired motion better." Table 1, ZeroScope: appearance diversity 28.61 '
        "without the loss, 28.94 with it.",
        statement=lambda name: All(
            (
                Higher(name("motion-director-terse"), name("motion-director-plain"), FIDELITY),
                NotLower(
                    name("motion-director-terse"),
                    name("motion-director-plain"),
                    APPEARANCE,
                    MARGIN,
                ),
            )
        ),
    ),
    Claim(
        key="motion-crafter.beta-diversity",
        about="motion-crafter-beta-1",
        paper=f'{BETA}"A large β value leads to greater diversity in the generated appearance, '
        'while a small value results in an appearance closer to the reference video."',
        statement=lambda name: LeaksMore(
            name("motion-crafter-beta-1"), name("motion-crafter-beta-20")
        ),
    ),
    Claim(
        key="motion-crafter.beta-rigid",
        about="motion-crafter-beta-1",
        paper=f'{BETA}"When β is set to 1, […] the shape of objects is difficult to alter. When β '
        'is set to 5, […] the model produces diverse content with varied shapes".',
        statement=lambda name: LeaksMore(
            name("motion-crafter-beta-1"), name("motion-crafter-beta-5")
        ),
    ),
    Claim(
        key="motion-crafter.beta-motion",
        about="motion-crafter-beta-20",
        paper=f"{BETA}\"Excessively large appearance normalization loss impairs the model's "
        'ability to learn appropriate motions and appearances".',
        statement=lambda name: Lower(
            name("motion-crafter-beta-20"), name("motion-crafter-beta-5"), FIDELITY
        ),
    ),
    Claim(
        key="motion-crafter.timesteps",
        about="motion-crafter-uniform",
        paper='MotionCrafter v2, Fig. 7: "Without timestep tuning, the accuracy of motion learning '
        'is lower."',
        statement=lambda name: Lower(
            name("motion-crafter-uniform"), name("motion-crafter-terse"), FIDELITY
        ),
    ),
    Claim(
        key="motion-crafter.layers",
        about="motion-crafter-deep-blocks",
        paper='MotionCrafter v2, Fig. 7: "Without U-Net layered tuning, the overall colors are '
        'more similar to the reference."',
        statement=lambda name: LeaksMore(
            name("motion-crafter-terse"), name("motion-crafter-deep-blocks")
        ),
    ),
    Claim(
        key="motion-crafter.appearance-loss",
        about="motion-crafter-beta-0",
        paper='MotionCrafter v2, Fig. 7: "Without L_appearance, the appearance and background are '
        'more similar to the reference."',
        statement=lambda name: LeaksMore(
            name("motion-crafter-beta-0"), name("motion-crafter-terse")
        ),
    ),
    Claim(
        key="motion-crafter.appearance-loss-motion",
        about="motion-crafter-beta-0",
        paper="MotionCrafter v2, Sec. 4.5, of the model without L_appearance: \"the model's "
        'capacity to learn motion is weakened".',
        statement=lambda name: Lower(
            name("motion-crafter-beta-0"), name("motion-crafter-terse"), FIDELITY
        ),
    ),
    Claim(
        key="motion-inversion.debiased-loss",
        about="motion-inversion-debiased-loss",
        paper="Motion Inversion, Sec. 3.2, of MotionDirector's loss: \"the latter we found in the "
        'experiment can boost our performance too".',
        statement=lambda name: Higher(
            name("motion-inversion-debiased-loss"), name("motion-inversion-terse"), FIDELITY
        ),
    ),
    Claim(
        key="vmc.motion",
        about="vmc",
        paper="Motion Inversion, Table 1: motion fidelity 0.9372 of VMC, 0.9552 of theirs.",
        statement=lambda name: Lower(name("vmc"), name("motion-inversion-terse"), FIDELITY),
    ),
    Claim(
        key="temporal-only.coupling",
        about="temporal-only",
        paper='MoTrans, Sec. 4.2: "unconstrained fine-tuning of Zeroscope leads to an undesirable '
        'coupling between appearance and motion".',
        statement=lambda name: LeaksMore(name("temporal-only"), name("motrans-terse")),
    ),
    Claim(
        key="motion-inversion.debias",
        about="motion-inversion-difference",
        paper='Motion Inversion, Sec. 3.3: "M^V may capture static appearance information, leading '
        "to overfitting and limiting generalization. To address this, we apply the differencing "
        'operation".',
        statement=lambda name: LeaksMore(
            name("motion-inversion-terse"), name("motion-inversion-difference")
        ),
    ),
    Claim(
        key="motion-inversion.normalise",
        about="motion-inversion-normalise",
        paper="Motion Inversion, Fig. 7 (e), in pictures: the mean subtracted in place of "
        "differencing.",
        statement=lambda name: LeaksMore(
            name("motion-inversion-normalise"), name("motion-inversion-difference")
        ),
    ),
    Claim(
        key="motion-inversion.value",
        about="motion-inversion-drop-value",
        paper=VALUE_EMBEDDING,
        statement=lambda name: Lower(
            name("motion-inversion-drop-value"), name("motion-inversion-terse"), FIDELITY
        ),
    ),
    Claim(
        key="motion-inversion.value-1d",
        about="motion-inversion-1d-1d",
        paper=VALUE_EMBEDDING,
        statement=lambda name: Lower(
            name("motion-inversion-1d-1d"), name("motion-inversion-terse"), FIDELITY
        ),
    ),
    Claim(
        key="motion-inversion.query-key-alone",
        about="motion-inversion-query-key-alone",
        paper=VALUE_EMBEDDING,
        statement=lambda name: Lower(
            name("motion-inversion-query-key-alone"), name("motion-inversion-terse"), FIDELITY
        ),
    ),
    Claim(
        key="motion-inversion.query-key-2d",
        about="motion-inversion-2d-2d",
        paper=QUERY_KEY,
        statement=lambda name: LeaksMore(
            name("motion-inversion-2d-2d"), name("motion-inversion-terse")
        ),
    ),
    Claim(
        key="motion-inversion.query-key-2d-alone",
        about="motion-inversion-2d-1d",
        paper=QUERY_KEY,
        statement=lambda name: LeaksMore(
            name("motion-inversion-2d-1d"), name("motion-inversion-1d-1d")
        ),
    ),
    Claim(
        key="motrans.recaption",
        about="motrans-no-recaption",
        paper=f"{MOTRANS_TABLE}CLIP-E 0.2101 without the recaptioner, 0.2173 with it.",
        statement=lambda name: LeaksMore(name("motrans-no-recaption"), name("motrans-terse")),
    ),
    Claim(
        key="motrans.recaption-motion",
        about="motrans-no-recaption",
        paper=f"{MOTRANS_TABLE}MoFid 0.6129 without the recaptioner, 0.5679 with it.",
        statement=lambda name: Higher(
            name("motrans-no-recaption"), name("motrans-terse"), FIDELITY
        ),
    ),
    Claim(
        key="motrans.injector",
        about="motrans-no-injector",
        paper=f"{MOTRANS_TABLE}CLIP-E 0.2034 without the appearance injector, 0.2173 with it.",
        statement=lambda name: LeaksMore(name("motrans-no-injector"), name("motrans-terse")),
    ),
    Claim(
        key="motrans.injector-motion",
        about="motrans-no-injector",
        paper=f"{MOTRANS_TABLE}MoFid 0.6150 without the appearance injector, 0.5679 with it.",
        statement=lambda name: Higher(name("motrans-no-injector"), name("motrans-terse"), FIDELITY),
    ),
    Claim(
        key="motrans.enhancer",
        about="motrans-no-enhancer",
        paper=f"{MOTRANS_TABLE}MoFid 0.5643 without the motion enhancer, 0.5679 with it.",
        statement=lambda name: Lower(name("motrans-no-enhancer"), name("motrans-terse"), FIDELITY),
    ),
)
CLAIMS = (*OWN_CLAIMS, *PAPER_CLAIMS)
