"""The claims fit the rows, and the rows fit the methods."""

from __future__ import annotations

import pytest

from benchmarks.papers.claims import Claim, judge_claims
from benchmarks.papers.notes import NOTES, read_notes
from benchmarks.papers.paper_claims import CLAIMS
from benchmarks.papers.plans import default_plan, full_plan, places_of, quick_plan
from benchmarks.papers.results import FIDELITY
from benchmarks.papers.rows import (
    ABLATIONS,
    COUPLED,
    COUPLED_CAPTIONED,
    METHODS,
    TERSE_METHODS,
    Variant,
    row_name,
)
from benchmarks.papers.trainings import method_of, reference_clip
from benchmarks.papers.verdicts import Lower
from motion_core.errors import FormatError
from motion_core.settings import to_mapping
from motion_core.shape_world.references import reference
from tests.benchmarks.papers.test_verdicts import HIGH, LOW

VARIANTS = (
    *METHODS,
    COUPLED,
    COUPLED_CAPTIONED,
    *TERSE_METHODS,
    *(variant for group in ABLATIONS.values() for variant in group),
)


@pytest.mark.parametrize("variant", VARIANTS, ids=[variant.name for variant in VARIANTS])
def test_every_variant_is_one_that_its_method_knows(variant: Variant) -> None:
    """And says something that its method's own variant does not."""
    for base in ("shape-world-animatediff", "shape-world-zeroscope"):
        method = method_of(variant, base, reference("zigzag"))
        assert method.name == variant.method


def test_settings_speak_of_the_reference_clip() -> None:
    """The bounce is worn by an orange square on a dotted background."""
    (variant,) = [v for v in VARIANTS if v.name == "motrans-terse"]
    scene = reference("bounce")
    method = method_of(variant, "shape-world-zeroscope", scene)
    full = "an orange square bouncing on a dotted background"
    assert to_mapping(method.settings)["recaptions"] == [full]
    assert reference_clip("bounce", variant.prompt).prompt == "a square bouncing"
    assert reference_clip("bounce").prompt == scene.prompt


def test_every_claim_is_about_rows_that_are_measured_by_default() -> None:
    """Each on at least one backbone; keys are unique, and so are the rows' names."""
    names = [row.name for row in default_plan().rows]
    assert len(set(names)) == len(names)
    assert len({claim.key for claim in CLAIMS}) == len(CLAIMS)
    for claim in CLAIMS:
        whole = [
            set(claim.statement(lambda v, b=b, m=m: row_name(v, b, m)).rows()) <= set(names)
            for b, m in places_of(default_plan().rows)
        ]
        assert any(whole), claim.key
        assert claim.about in {v.name for v in VARIANTS}, claim.key


def test_every_ablation_has_a_claim() -> None:
    ablations = {v.name for group in ABLATIONS.values() for v in group}
    compared = {
        name
        for claim in CLAIMS
        for name in claim.statement(lambda variant: variant).rows()
        if not claim.key.endswith(".learns")
    }
    assert ablations <= compared


def test_each_plan_holds_the_smaller_one() -> None:
    quick, default, full = quick_plan(), default_plan(), full_plan()
    assert {r.name for r in quick.rows} < {r.name for r in default.rows}
    assert {r.name for r in default.rows} < {r.name for r in full.rows}


def _claim() -> Claim:
    return Claim(
        key="method.part",
        about="low",
        source="a paper",
        words="without the part the motion is worse",
        statement=lambda name: Lower(name("low"), name("high"), FIDELITY),
    )


def test_a_claim_is_judged_where_its_row_was_measured() -> None:
    """On ZeroScope only; there low is below high by 0.25. The note of the place wins."""
    results = {"low/zeroscope/zigzag": LOW, "high/zeroscope/zigzag": HIGH}
    places = [("zeroscope", "zigzag"), ("animatediff", "zigzag")]
    notes = {"method.part": "anywhere", "method.part/zeroscope/zigzag": "here"}
    (judged,) = judge_claims([_claim()], places, results, notes)
    assert (judged.backbone, judged.finding.verdict, judged.note) == ("zeroscope", "holds", "here")
    (judged,) = judge_claims([_claim()], places[:1], results, {"method.part": "anywhere"})
    assert judged.note == "anywhere"


def test_notes_are_about_claims_that_there_are(tmp_path) -> None:
    keys = {claim.key for claim in CLAIMS}
    assert {key.partition("/")[0] for key in read_notes()} <= keys
    assert NOTES.is_file()
    (tmp_path / "notes.toml").write_text('a.b = "not quoted"')
    with pytest.raises(FormatError, match=r"no text for 'a'.*in quotes"):
        read_notes(tmp_path / "notes.toml")
