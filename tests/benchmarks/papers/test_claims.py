"""The claims fit the rows, and the rows fit the methods."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks.papers.claims import Claim, judge_claims
from benchmarks.papers.notes import EARLIER_NOTES, NOTES, read_notes
from benchmarks.papers.own_claims import OWN_CLAIMS
from benchmarks.papers.paper_claims import CLAIMS, PAPER_CLAIMS
from benchmarks.papers.plans import PROMPTS, default_plan, full_plan, places_of, quick_plan
from benchmarks.papers.results import FIDELITY
from benchmarks.papers.rows import BASES, Backbone, Row, Variant, row_name
from benchmarks.papers.subjects import subjects_for
from benchmarks.papers.trainings import method_of, reference_clips
from benchmarks.papers.variants import (
    ABLATIONS,
    BASELINES,
    CAMERA,
    FEW_SHOT,
    FEW_STEPS,
    LOOKS,
    METHODS,
    PAPERS,
    PERSONALISED,
    PRIOR_ALONE,
    TERSE_METHODS,
    USES,
)
from benchmarks.papers.verdicts import Lower
from motion_core.diffusion.settings import SampleSettings
from motion_core.errors import FormatError
from motion_core.settings import from_mapping, to_mapping
from motion_core.shape_world.references import reference
from motion_core.training.settings import TrainSettings
from tests.benchmarks.papers.hand_made import HIGH, LOW, MIXED

VARIANTS = (
    PRIOR_ALONE,
    *METHODS,
    *BASELINES,
    *TERSE_METHODS,
    *USES,
    *FEW_STEPS,
    *FEW_SHOT,
    *LOOKS,
    *CAMERA,
    *PERSONALISED,
    *(variant for group in ABLATIONS.values() for variant in group),
)
TRAINED = [variant for variant in VARIANTS if variant.method]


@pytest.mark.parametrize("variant", TRAINED, ids=[variant.name for variant in TRAINED])
def test_every_variant_is_one_that_its_method_knows(variant: Variant) -> None:
    """Settings that are not there are refused by name."""
    for backbone in BASES:
        method = method_of(Row(variant=variant, backbone=backbone, motion="zigzag"))
        assert method.name == variant.method
    from_mapping(TrainSettings, dict(variant.train))
    from_mapping(SampleSettings, dict(variant.sample))


def test_no_two_variants_are_the_same() -> None:
    """Neither by name nor by what they do."""
    assert len({variant.name for variant in VARIANTS}) == len(VARIANTS)
    unnamed = [repr(dataclasses.replace(variant, name="")) for variant in VARIANTS]
    assert len(set(unnamed)) == len(unnamed)


@pytest.mark.parametrize("backbone", BASES)
@pytest.mark.parametrize("variant", PAPERS, ids=[variant.name for variant in PAPERS])
def test_the_papers_settings_are_the_papers_on_any_base(
    variant: Variant, backbone: Backbone
) -> None:
    """What a method declares as its paper's is not changed by what suits a small base: but for the
    words of prompts and the recaption, and what is told as a number, all is the class's own."""
    method = method_of(Row(variant=variant, backbone=backbone, motion="zigzag"))
    own: dict[str, object] = {"motion": "zigzagging", "templates": "shapes", "alpha": 32.0}
    own["spatial_learning_rate"] = 5e-4
    own["recaptions"] = (reference("zigzag").prompt,)
    changed = {
        name: value
        for name, value in vars(method.settings).items()
        if value != getattr(type(method.settings)(), name)
    }
    assert changed == {name: value for name, value in own.items() if name in changed}
    assert set(changed) <= set(own)


def test_settings_speak_of_the_reference_clip() -> None:
    """The bounce is worn by an orange square on a dotted background."""
    (variant,) = [v for v in VARIANTS if v.name == "motrans-terse"]
    scene = reference("bounce")
    method = method_of(Row(variant=variant, backbone="zeroscope", motion="bounce"))
    full = "an orange square bouncing on a dotted background"
    assert to_mapping(method.settings)["recaptions"] == [full]
    assert reference_clips("bounce", variant.prompt)[0].prompt == "a square bouncing"
    assert reference_clips("bounce")[0].prompt == scene.prompt


def test_several_clips_show_one_motion_with_several_looks() -> None:
    """Each with its own prompt and recaption; none wears what is asked for."""
    (variant,) = [v for v in VARIANTS if v.name == "motrans-4-clips"]
    clips = reference_clips("zigzag", count=4)
    assert clips[0].prompt == "a red circle zigzagging on a checkered background"
    assert clips[1].prompt == "a blue cross zigzagging on a white background"
    assert len({clip.prompt for clip in clips}) == 4 == len({clip.video for clip in clips})
    assert reference_clips("zigzag")[0].frames.equal(clips[0].frames)
    method = method_of(Row(variant=variant, backbone="zeroscope", motion="zigzag"))
    assert to_mapping(method.settings)["recaptions"] == [clip.prompt for clip in clips]
    asked = {one.prompt("zigzagging") for one in subjects_for("zigzag", PROMPTS)}
    assert not asked & {clip.prompt for clip in reference_clips("zigzag", count=10)}


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


def test_a_papers_claim_is_quoted_with_its_place() -> None:
    """Ours have none: what is asked of rows is never a paper's claim itself."""
    assert all(claim.paper == "" for claim in OWN_CLAIMS)
    for claim in PAPER_CLAIMS:
        place = claim.paper.partition(":")[0]
        assert any(word in place for word in ("Sec.", "Fig.", "Table")), claim.key


def test_every_variant_has_a_claim() -> None:
    """So that no row is measured for nothing."""
    compared = {
        name for claim in CLAIMS for name in claim.statement(lambda variant: variant).rows()
    }
    assert {variant.name for variant in VARIANTS} <= compared


def test_each_plan_holds_the_smaller_one() -> None:
    quick, default, full = quick_plan(), default_plan(), full_plan()
    assert {r.name for r in quick.rows} < {r.name for r in default.rows}
    assert {r.name for r in default.rows} < {r.name for r in full.rows}


NAMED = {"low": LOW, "high": HIGH, "mixed": MIXED}


def _claim(row: str = "low", than: str = "high") -> Claim:
    return Claim(
        key="method.part",
        about=row,
        statement=lambda name: Lower(name(row), name(than), FIDELITY),
    )


def test_a_claim_is_judged_where_its_row_was_measured() -> None:
    """On ZeroScope only; there low is below high by 0.25. The note of the place wins."""
    results = {"low/zeroscope/zigzag": LOW, "high/zeroscope/zigzag": HIGH}
    places = [("zeroscope", "zigzag"), ("animatediff", "zigzag")]
    notes = {"method.part": "anywhere", "method.part/zeroscope/zigzag": "here"}
    (judged,) = judge_claims([_claim()], places, results, notes)
    assert (judged.backbone, judged.verdict, judged.note) == ("zeroscope", "holds", "here")
    assert judged.words == "motion fidelity of low is lower than that of high"
    (judged,) = judge_claims([_claim()], places[:1], results, {"method.part": "anywhere"})
    assert judged.note == "anywhere"


def test_a_claim_without_all_its_rows_is_not_run_yet() -> None:
    (judged,) = judge_claims(
        [_claim()], [("zeroscope", "zigzag")], {"low/zeroscope/zigzag": LOW}, {}
    )
    assert (judged.verdict, judged.corrected) == ("not run yet", None)
    assert judged.sentence == "missing: high/zeroscope/zigzag"


def test_claims_are_corrected_for_their_number() -> None:
    """p of the three is 1, 2/20001 and 1: the second is tripled. Copies of one make no more claims
    hold; of 600, none does."""
    results = {f"{name}/zeroscope/zigzag": r for name, r in NAMED.items()}
    places = [("zeroscope", "zigzag")]
    claims = [_claim("mixed", "high"), _claim("low", "high"), _claim("high", "mixed")]
    judged = judge_claims(claims, places, results, {})
    assert [one.verdict for one in judged] == ["not shown", "holds", "not shown"]
    assert judged[1].corrected == pytest.approx(6 / 20001)
    many = judge_claims([_claim("low", "high")] * 600, places, results, {})
    assert {one.verdict for one in many} == {"not shown"}
    assert many[0].corrected == pytest.approx(1200 / 20001)


def test_notes_are_about_claims_that_there_are(tmp_path) -> None:
    keys = {claim.key for claim in CLAIMS}
    for file in (NOTES, EARLIER_NOTES):
        assert {key.partition("/")[0] for key in read_notes(file)} <= keys
    assert read_notes(EARLIER_NOTES)
    (tmp_path / "notes.toml").write_text('a.b = "not quoted"')
    with pytest.raises(FormatError, match=r"no text for 'a'.*in quotes"):
        read_notes(tmp_path / "notes.toml")
