"""What this project asks of its own rows; no paper says it in these terms.

Each stands for one backbone and one motion at a time; see verdicts.py for how it is judged.
"""

from __future__ import annotations

from collections.abc import Sequence

from .claims import Claim, Name
from .results import APPEARANCE, FIDELITY
from .rows import Variant
from .variants import (
    BASE,
    COUPLED_CAPTIONED,
    FEW_STEPS,
    METHODS,
    PRIOR_ALONE,
    TERSE_METHODS,
    TUNED,
)
from .verdicts import All, Higher, LeaksMore, Lower, NotLower, Reaches, Statement

FIDELITY_WANTED = 0.85
ABOVE_BASE = 0.3
MARGIN = 0.1


def worse_than_each(coupled: Variant, methods: Sequence[Variant], name: Name) -> Statement:
    return All([LeaksMore(name(coupled.name), name(method.name)) for method in methods])


def _learns(method: Variant) -> Claim:
    """Beside a base that begins with the same noise."""

    def statement(name: Name) -> Statement:
        base = name((PRIOR_ALONE if method.sample.get("noise_prior") else BASE).name)
        row = name(method.name)
        return All(
            (Reaches(row, FIDELITY, FIDELITY_WANTED), Higher(row, base, FIDELITY, ABOVE_BASE))
        )

    return Claim(key=f"{method.name}.learns", about=method.name, statement=statement)


def _preserves(method: str) -> Claim:
    def statement(name: Name) -> Statement:
        return NotLower(name(method), name(BASE.name), APPEARANCE, MARGIN)

    return Claim(key=f"{method}.preserves", about=method, statement=statement)


def _higher(about: str, than: str, score: str = FIDELITY, by: float = 0.0) -> Claim:
    return Claim(
        key=f"{about}.{'motion' if score == FIDELITY else 'appearance'}",
        about=about,
        statement=lambda name: Higher(name(about), name(than), score, by),
    )


def _lower(about: str, than: str) -> Claim:
    return Claim(
        key=f"{about}.motion",
        about=about,
        statement=lambda name: Lower(name(about), name(than), FIDELITY),
    )


def _keeps_motion(about: str, than: str) -> Claim:
    return Claim(
        key=f"{about}.keeps-motion",
        about=about,
        statement=lambda name: NotLower(name(about), name(than), FIDELITY, MARGIN),
    )


def _leaks_less(about: str, than: str) -> Claim:
    return Claim(
        key=f"{about}.leaks-less",
        about=about,
        statement=lambda name: LeaksMore(name(than), name(about)),
    )


def _leaks_more(about: str, than: str) -> Claim:
    return Claim(
        key=f"{about}.leaks-more",
        about=about,
        statement=lambda name: LeaksMore(name(about), name(than)),
    )


DIRECTOR, INVERSION = "motion-director-terse", "motion-inversion-terse"
ADVICE: tuple[Claim, ...] = (
    Claim(
        key="motion-inversion.leaks-least",
        about=INVERSION,
        statement=lambda name: All(
            [
                LeaksMore(name(other.name), name(INVERSION))
                for other in TERSE_METHODS
                if other.name != INVERSION
            ]
        ),
    ),
    _higher("motion-crafter", "motion-director"),
    _leaks_less("motion-director-strength-0.5", DIRECTOR),
    _lower("motion-director-strength-0.5", DIRECTOR),
    _higher("motion-director-strength-1.5", DIRECTOR),
    _leaks_more("motion-director-strength-1.5", DIRECTOR),
    _leaks_less("motion-director-end-0.7", DIRECTOR),
    _higher("motion-director-prior-0.3", DIRECTOR),
    _leaks_more("motion-director-prior-0.3", DIRECTOR),
    _higher("motion-director-prior-0.5", DIRECTOR),
    _leaks_more("motion-director-prior-0.5", DIRECTOR),
    _higher("base-prior-0.5", BASE.name),
    _leaks_less("motion-director-half-the-steps", DIRECTOR),
    _lower("motion-director-half-the-steps", DIRECTOR),
    _leaks_less("motion-director-full-caption", DIRECTOR),
    *(
        claim
        for method in ("motion-director", "motrans")
        for clips in (4, 10)
        for claim in (
            _higher(f"{method}-{clips}-clips", f"{method}-terse"),
            _higher(f"{method}-{clips}-clips", f"{method}-terse", APPEARANCE),
        )
    ),
)
"""What README advises, asked of the rows made for it."""

SWITCHES: tuple[Claim, ...] = (
    _leaks_less("motion-director-queries-keys", DIRECTOR),
    _keeps_motion("motion-director-queries-keys", DIRECTOR),
    _leaks_less("motion-director-offset-noise", "motion-director-plain"),
    _keeps_motion("motion-director-offset-noise", "motion-director-plain"),
    _higher("motion-director-cosine", DIRECTOR),
    _keeps_motion("motion-director-preserved-0.02", DIRECTOR),
    _leaks_less("motion-director-preserved-0.05", DIRECTOR),
    _keeps_motion("motion-director-preserved-0.05", DIRECTOR),
)
"""What MotionDirector's switches from later papers, and base preservation, are there for."""

USES: tuple[Claim, ...] = (
    *(
        _higher(f"{method.name}-personalised", "base-personalised", by=ABOVE_BASE)
        for method in TUNED
    ),
    *(
        claim
        for row, without in (
            ("motion-director-image", "motion-director-without-image"),
            ("motion-director-mixed", "motion-director-without-mixing"),
        )
        for claim in (_higher(row, without, APPEARANCE, ABOVE_BASE), _keeps_motion(row, without))
    ),
    *(_keeps_motion(variant.name, "motion-director") for variant in FEW_STEPS),
    _higher("motion-inversion-camera", BASE.name, by=ABOVE_BASE),
    _higher("motion-inversion-hybrid", "motion-inversion"),
)

OWN_CLAIMS: tuple[Claim, ...] = (
    *(_learns(method) for method in METHODS),
    *(_preserves(method.name) for method in METHODS),
    Claim(
        key="coupled.worse-captioned",
        about=COUPLED_CAPTIONED.name,
        statement=lambda name: worse_than_each(COUPLED_CAPTIONED, TUNED, name),
    ),
    Claim(
        key="motion-crafter.beta-own",
        about="motion-crafter-beta-20",
        statement=lambda name: All(
            (
                LeaksMore(name("motion-crafter-terse"), name("motion-crafter-beta-20")),
                Lower(name("motion-crafter-beta-20"), name("motion-crafter-terse"), FIDELITY),
            )
        ),
    ),
    _lower("motion-crafter-template-prompt", "motion-crafter-terse"),
    _leaks_less("motion-crafter-spatial-path", "motion-crafter-terse"),
    _leaks_less("motion-inversion-hybrid-loss", INVERSION),
    _higher("motion-inversion-vmc-loss", INVERSION),
    _leaks_less("motion-inversion-query-key-alone", INVERSION),
    *SWITCHES,
    *ADVICE,
    *USES,
)
